// The panels of dials and of stalled handlers: tables with what is known of each. Owns no data.

import { element, reconcile, setText } from "./dom.js";
import { age, bytes, clock, counted, duration, shortId } from "./format.js";
import { entries } from "./model.js";
import { Rows, showDetails } from "./rows.js";

const OUTCOMES = ["connected", "failed", "dialing"];

const DIAL_COLUMNS = [
  { title: "Time", kind: "time", text: (d) => clock(d.begun_t) },
  { title: "Outcome", kind: "outcome", text: (d) => d.outcome, mark: (d) => d.outcome },
  { title: "Node", kind: "id mono", text: (d) => shortId(d.id, 10), hint: (d) => d.id },
  { title: "Address", kind: "address mono", remote: true, text: (d) => d.addr },
  { title: "Reason", kind: "name", remote: true, text: (d) => reason(d), hint: (d) => d.text },
  { title: "Took", kind: "number took", text: (d) => duration((d.ended_t ?? d.now) - d.begun_t) },
];

export class Dials {
  constructor(section) {
    this.count = section.querySelector(".count");
    this.outcomes = section.querySelector(".outcomes");
    this.rows = new Rows(section.querySelector(".list"), {
      label: "Dials",
      columns: DIAL_COLUMNS,
      key: (dial) => dial.key,
      empty: "Nothing has been dialed.",
    });
  }

  render(scene) {
    const dials = Dials.shown(scene);
    const all = entries(scene.frame.state, "dials");
    setText(this.count, `the latest ${all.length}`);
    reconcile(
      this.outcomes,
      OUTCOMES.map((name) => [name, all.filter((dial) => dial.outcome === name).length]),
      ([name]) => name,
      createOutcome,
      updateOutcome,
    );
    this.rows.show(dials, this.rows.selected, scene.query);
  }

  /** The dials that fit the filter, newest first. */
  static shown({ frame, matches }) {
    return entries(frame.state, "dials")
      .filter((dial) => matches(dial.id, dial.addr, dial.outcome, dial.error, dial.text))
      .map((dial) => ({ ...dial, now: frame.t }))
      .sort((a, b) => b.begun_t - a.begun_t || Number(b.key) - Number(a.key));
  }
}

function reason(dial) {
  if (dial.outcome === "connected") return "";
  return [dial.step, dial.text || dial.error].filter(Boolean).join(": ");
}

function createOutcome([name]) {
  return element("span", { class: "outcome", "data-mark": name }, element("b"), ` ${name}`);
}

function updateOutcome(node, [, count]) {
  setText(node.firstChild, count);
  node.style.setProperty("flex-grow", count);
}

const STALL_COLUMNS = [
  { title: "For", kind: "number age", text: (s) => age(s.now - s.since_t) },
  { title: "Protocol", kind: "cap", text: (s) => s.cap },
  {
    title: "Stands at",
    kind: "where mono",
    text: (s) => withoutFolder(s.where),
    hint: (s) => s.where,
  },
  {
    title: "Peer",
    kind: "name",
    remote: true,
    text: (s) => s.name || s.short,
    hint: (s) => s.name,
  },
  { title: "Waiting", kind: "number waiting", text: (s) => s.waiting },
];

export class Stalls {
  constructor(section) {
    this.section = section;
    this.count = section.querySelector(".count");
    this.detail = section.querySelector(".detail");
    this.chosen = null;
    this.rows = new Rows(section.querySelector(".list"), {
      label: "Stalled handlers",
      columns: STALL_COLUMNS,
      key: (stall) => stall.key,
      empty: "Every handler keeps up.",
      onSelect: (stall) => {
        this.chosen = stall?.key ?? null;
        this.#details();
      },
    });
  }

  render(scene) {
    this.stalls = Stalls.shown(scene);
    const all = entries(scene.frame.state, "stalls").length;
    setText(this.count, all ? counted(all, "handler") : "");
    this.section.classList.toggle("alarm", all > 0);
    this.rows.show(this.stalls, this.chosen, scene.query);
    this.#details();
  }

  /** The stalled handlers that fit the filter, the longest first. */
  static shown({ frame, matches }) {
    return entries(frame.state, "stalls")
      .filter((stall) => matches(stall.name, stall.id, stall.cap, stall.where))
      .map((stall) => ({ ...stall, now: frame.t }))
      .sort((a, b) => a.since_t - b.since_t);
  }

  #details() {
    const stall = this.stalls.find((one) => one.key === this.chosen);
    showDetails(this.detail, stall ? stallDetails(stall) : null);
  }
}

// The line is what matters, and a long path would leave no room for it.
function withoutFolder(where) {
  return where.slice(where.lastIndexOf("/") + 1);
}

function stallDetails(stall) {
  const stack = (stall.stack || []).map((line, place) => [place ? ` ${place}` : "Stack", line]);
  return [
    ["Stands at", stall.where],
    ["Waiting", `${counted(stall.waiting, "message")}, ${bytes(stall.waiting_bytes)}`],
    ["Since", clock(stall.since_t)],
    ["Node ID", stall.id],
    ...stack,
  ];
}
