// The live page: takes the server's messages into the model, and draws what is to be shown once for
// each frame of the browser, however many messages came. Owns the selection and the filter.

import { Charts } from "./charts.js";
import { Connection } from "./connection.js";
import { Dials, Stalls } from "./dials.js";
import { onResize, set, setText } from "./dom.js";
import { Events } from "./events.js";
import { clock, shortId } from "./format.js";
import { Lookups } from "./lookups.js";
import { Messages } from "./messages.js";
import { Model } from "./model.js";
import { News } from "./news.js";
import { NodeTable } from "./nodetable.js";
import { Peers } from "./peers.js";
import { Playback } from "./playback.js";
import { save, shownNow } from "./saving.js";
import { Shortcuts } from "./shortcuts.js";
import { Theme } from "./theme.js";
import { Topology } from "./topology.js";

const PROBLEMS = {
  lost: "The server does not answer.",
  stopped: "The server has stopped.",
  full: "Too many pages of the server are open.",
  moved: "The server was started again, and its page has a new address.",
};

const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.model = new Model();
    this.selected = { peer: null };
    this.query = "";
    this.problem = "lost"; // of the connection, or null
    this.playback = new Playback(this.model, () => this.draw());
    this.news = new News(byId("news"));
    this.theme = new Theme(byId("theme"), () => this.draw());
    this.charts = new Charts(byId("overview"), (moment) => this.playback.show(moment));
    this.messages = new Messages(byId("messages"), () => this.#watch());
    this.panels = [
      new Topology(byId("topology")),
      new Peers(byId("peers"), (key) => this.selectPeer(key)),
      this.messages,
      new NodeTable(byId("table")),
      new Lookups(byId("lookups")),
      new Dials(byId("dials")),
      new Stalls(byId("stalls")),
      new Events(byId("events")),
    ];
    this.#listen();
    this.connection = new Connection(
      (message) => this.#receive(message),
      (problem) => this.#noteProblem(problem),
    );
  }

  /** Draw with the next frame of the browser. */
  draw() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.#draw();
    });
  }

  /** Select a peer by its key, or none; again the same one: none. */
  selectPeer(key) {
    this.selected.peer = key === this.selected.peer ? null : key;
    this.#watch();
    this.draw();
  }

  /** Take back selection and filter. */
  clear() {
    this.selected.peer = null;
    this.messages.clear();
    byId("search").value = this.query = "";
    this.#watch();
    this.draw();
  }

  export() {
    if (!this.playback.frame) return;
    const name = `p2p-${clock(this.playback.frame.t).replaceAll(":", "")}.json`;
    save(name, shownNow(this.#scene(), this.messages));
    this.news.say(`Saved as ${name}`);
  }

  #receive(message) {
    this.model.receive(message);
    if (this.model.caughtUp || !this.playback.live) this.draw();
  }

  #noteProblem(problem) {
    this.problem = problem;
    this.#showStatus();
  }

  #scene() {
    const { selected, query } = this;
    const { model, frame, live } = this.playback;
    return { model, selected, query, frame, live, matches: matcher(query) };
  }

  #draw() {
    this.#showStatus();
    const scene = this.#scene();
    if (!scene.frame) return;
    this.playback.render();
    this.#showIdentity(scene);
    this.charts.render(scene.model.frames, scene.frame);
    for (const panel of this.panels) panel.render(scene);
    if (scene.live) this.news.tell(scene.frame.state);
    document.documentElement.dataset.drawn = scene.frame.n;
  }

  #showIdentity({ model, frame }) {
    const self = frame.state.node?.self;
    const lab = model.hello.kind === "lab";
    setText(byId("name"), self?.name || model.hello.title);
    document.title = `${self?.name || model.hello.title} · p2p`.slice(0, 100);
    set(document.documentElement, "data-kind", model.hello.kind);
    document.querySelector('[data-for="topology"]').hidden = !lab;
    const button = byId("copy-id");
    button.hidden = !self;
    setText(button, self ? shortId(self.id, 12) : "");
    set(button, "title", self ? `Copy the node's address: ${self.enode || self.id}` : null);
  }

  #showStatus() {
    const state = this.problem
      ? "lost"
      : !this.model.caughtUp
        ? "waiting"
        : this.playback.live
          ? "live"
          : "paused";
    const words = { lost: "Not connected", waiting: "Loading", live: "Live", paused: "Paused" };
    set(byId("status"), "data-state", state);
    setText(byId("status-text"), words[state]);
    const notice = byId("notice");
    const text = this.problem ? this.#explain() : this.model.error;
    notice.hidden = !text;
    setText(notice, text);
  }

  #explain() {
    const shown = this.model.latest ? "Shown is what it said last; the page" : "The page";
    return `${PROBLEMS[this.problem]} ${shown} tries again.`;
  }

  // Have the server sample what is looked at.
  #watch() {
    const kind = this.messages.kind;
    this.connection.watch({
      samples_per_s: Number(byId("samples").value),
      protocols: kind ? [kind.cap] : null,
      peer: this.selected.peer,
    });
  }

  #listen() {
    const search = byId("search");
    search.addEventListener("input", () => {
      this.query = search.value;
      this.draw();
    });
    byId("samples").addEventListener("change", () => this.#watch());
    byId("export").addEventListener("click", () => this.export());
    byId("copy-id").addEventListener("click", () => this.#copy());
    onResize(() => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.#bindKeys(search);
  }

  #bindKeys(search) {
    const go = (id) => () => {
      byId(id).scrollIntoView();
      byId(id).focus({ preventScroll: true });
    };
    this.shortcuts = new Shortcuts(byId("shortcuts"), byId("help"), [
      [" ", "Pause, or go on with the present", () => this.playback.toggle()],
      [",", "One step back", () => this.playback.step(-1)],
      [".", "One step forward", () => this.playback.step(1)],
      ["/", "Filter", () => search.focus()],
      ["Escape", "Take back filter and selection", () => this.clear()],
      ["e", "Save what is shown as JSON", () => this.export()],
      ["t", "Colours: light, dark, or those of the system", () => this.theme.next()],
      ["p", "Go to the peers", go("peers")],
      ["m", "Go to the messages", go("messages")],
      ["n", "Go to the node table", go("table")],
      ["l", "Go to the lookups", go("lookups")],
      ["d", "Go to the dials", go("dials")],
      ["s", "Go to the stalled handlers", go("stalls")],
      ["v", "Go to the events", go("events")],
      ["?", "Show these shortcuts", () => byId("help").click()],
      ["↑ ↓", "Walk the rows of a table; also Home, End, Page up, Page down"],
      ["Enter", "Select the row"],
    ]);
  }

  async #copy() {
    const self = this.playback.frame?.state.node?.self;
    if (!self) return;
    try {
      await navigator.clipboard.writeText(self.enode || self.id);
      this.news.say("Copied");
    } catch {
      this.news.say("The browser does not allow to copy");
    }
  }
}

// A function that tells whether one of some texts has each word of the filter.
function matcher(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  return (...texts) => {
    const all = texts.join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  };
}

new Page();
