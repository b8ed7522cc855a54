// The socket to the server. Owns connecting, and connecting again with a growing pause; what the
// messages mean is the model's business.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export class Connection {
  /** `onMessage(object)` for each message, `onState("open" | "closed")` for each change. */
  constructor(onMessage, onState) {
    Object.assign(this, { onMessage, onState });
    this.pause = FIRST_PAUSE_MS;
    this.wanted = null;
    this.#open();
  }

  /** Tell the server which messages to sample; told again to each new connection. */
  watch(request) {
    this.wanted = { type: "watch", ...request };
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(this.wanted));
  }

  #open() {
    this.socket = new WebSocket(address());
    this.socket.addEventListener("open", () => {
      this.pause = FIRST_PAUSE_MS;
      this.onState("open");
      if (this.wanted) this.watch(this.wanted);
    });
    this.socket.addEventListener("message", ({ data }) => this.onMessage(JSON.parse(data)));
    this.socket.addEventListener("close", () => this.#again());
  }

  #again() {
    this.onState("closed");
    setTimeout(() => this.#open(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
  }
}

// Beside the page, whose address has the token.
function address() {
  const url = new URL("socket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url;
}
