// The socket to the server. Owns connecting, connecting again with a growing pause, and why there
// is no connection; what the messages mean is the model's business.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** The server says something every `alive_s` of its hello; after so many of them it is gone. */
const MISSED = 2.5;
const CHECK_MS = 1000;
/** Codes with which the server closes the socket, and what they mean. */
const REASONS = { 1001: "stopped", 1013: "full" };

export class Connection {
  /**
   * `onMessage(object)` for each message. `onProblem(problem)` for each change: null if there is a
   * connection, else "lost", "stopped", "full" (too many pages) or "moved" (a server that does not
   * know the address).
   */
  constructor(onMessage, onProblem) {
    Object.assign(this, { onMessage, onProblem });
    this.pause = FIRST_PAUSE_MS;
    this.wanted = null;
    this.problem = undefined;
    this.#open();
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** Tell the server which messages to sample; told again to each new connection. */
  watch(request) {
    this.wanted = { type: "watch", ...request };
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(this.wanted));
  }

  #open() {
    const socket = new WebSocket(address());
    const listen = (type, act) =>
      socket.addEventListener(type, (event) => socket === this.socket && act(event));
    this.socket = socket;
    this.heard = null; // time of the latest message
    listen("open", () => this.wanted && this.watch(this.wanted));
    listen("message", ({ data }) => this.#take(JSON.parse(data)));
    listen("close", ({ code }) => this.#again(REASONS[code]));
  }

  #take(message) {
    if (message.type === "hello") {
      this.pause = FIRST_PAUSE_MS;
      this.silentMs = message.alive_s ? message.alive_s * 1000 * MISSED : Infinity;
      this.#become(null);
    }
    this.heard = performance.now();
    this.onMessage(message);
  }

  // A link of which an end is gone without a word stays open.
  #check() {
    if (this.heard === null || performance.now() - this.heard < this.silentMs) return;
    const gone = this.socket;
    this.#again("lost");
    gone.close();
  }

  async #again(reason) {
    const wasOpen = this.heard !== null;
    this.socket = this.heard = null;
    setTimeout(() => this.#open(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    if (reason || wasOpen) return this.#become(reason ?? "lost");
    const problem = (await isUnknown()) ? "moved" : (this.problem ?? "lost");
    if (this.heard === null) this.#become(problem);
  }

  #become(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.onProblem(problem);
  }
}

// Whether a server answers that does not know the address of this page: its token is another one.
async function isUnknown() {
  try {
    return (await fetch("icon.svg")).status === 404;
  } catch {
    return false;
  }
}

// Beside the page, whose address has the token.
function address() {
  const url = new URL("socket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url;
}
