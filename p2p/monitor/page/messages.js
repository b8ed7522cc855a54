// The panel of messages: counts by protocol and code, samples of those that pass, and the fields of
// the selected one. Owns which kind is chosen, and that the list holds still while it is used.

import { setText } from "./dom.js";
import { amount, bytes, clockExact, counted, rate, shortId } from "./format.js";
import { entries } from "./model.js";
import { Rows, showDetails } from "./rows.js";

/** Samples in the list at most, and how many are looked through for those that fit the filter. */
const LISTED = 150;
const LOOKED_THROUGH = 6000;

const KIND_COLUMNS = [
  { title: "Protocol", kind: "cap", text: (k) => k.cap },
  {
    title: "Message",
    kind: "name",
    text: (k) => k.name,
    hint: (k) => (k.code === null ? null : `code ${k.code}`),
  },
  {
    title: "Received",
    kind: "number level",
    text: (k) => `${rate(k.in.per_s)}/s`,
    share: (k) => k.inShare,
  },
  {
    title: "Sent",
    kind: "number level out",
    text: (k) => `${rate(k.out.per_s)}/s`,
    share: (k) => k.outShare,
  },
  {
    title: "Total",
    kind: "number",
    text: (k) => amount(k.in.messages + k.out.messages),
    hint: (k) => `${k.in.messages} received, ${k.out.messages} sent`,
  },
];

const SAMPLE_COLUMNS = [
  { title: "Time", kind: "time", text: (m) => clockExact(m.t) },
  {
    title: "Direction",
    quiet: true,
    kind: "direction",
    text: (m) => m.direction,
    mark: (m) => m.direction,
  },
  { title: "Message", kind: "name", text: (m) => m.name || `code ${m.code}`, hint: (m) => m.cap },
  { title: "Protocol", kind: "cap", text: (m) => m.cap },
  { title: "Peer", kind: "peer", remote: true, text: (m) => m.who, hint: (m) => m.who },
  { title: "Size", kind: "number", text: (m) => bytes(m.size) },
];

const NOTHING = { messages: 0, per_s: 0, bytes: 0 };

export class Messages {
  constructor(section, onKind) {
    this.count = section.querySelector(".count");
    this.detail = section.querySelector(".detail");
    this.list = section.querySelector(".list");
    this.kind = null;
    this.chosen = null;
    this.shown = [];
    this.kinds = new Rows(section.querySelector(".kinds"), {
      label: "Messages by protocol and code",
      columns: KIND_COLUMNS,
      key: (kind) => kind.key,
      empty: "No message has passed.",
      onSelect: (kind) => {
        this.kind = kind;
        onKind(kind);
      },
    });
    this.samples = new Rows(this.list, {
      label: "Samples of messages",
      columns: SAMPLE_COLUMNS,
      key: (message) => String(message.m),
      empty: "No sample.",
      onSelect: (message) => {
        this.chosen = message;
        this.#details();
      },
    });
  }

  render(scene) {
    const kinds = kindsOf(scene.frame.state).filter(
      (kind) => scene.matches(kind.cap, kind.name) || !scene.query,
    );
    this.kinds.show(kinds, this.kinds.selected, scene.query);
    const fitting = this.fitting(scene);
    const newer = this.#isHeld(scene)
      ? fitting.filter((m) => m.m > (this.shown[0]?.m ?? -1)).length
      : 0;
    if (!newer) this.shown = fitting;
    this.samples.show(this.shown, this.samples.selected, scene.query);
    setText(this.count, summary(scene, newer));
    this.#details();
  }

  /** The samples up to the moment that fit kind, selected peer and filter; newest first. */
  fitting({ model, frame, selected, matches }) {
    const fits = (m) =>
      this.#isOfKind(m) &&
      (!selected.peer || m.peer === selected.peer) &&
      matches(m.name, m.cap, m.id, nameOf(m, frame), m.addr);
    return model
      .upTo(model.messages, frame.t, LOOKED_THROUGH)
      .filter(fits)
      .slice(-LISTED)
      .reverse()
      .map((m) => ({ ...m, who: nameOf(m, frame) }));
  }

  clear() {
    this.kind = null;
    this.chosen = null;
    this.kinds.selected = null;
    this.samples.selected = null;
  }

  #isOfKind(message) {
    return !this.kind || (message.cap === this.kind.cap && message.name === this.kind.name);
  }

  // Rows that move away from under the pointer, or under a reader, cannot be read.
  #isHeld({ live }) {
    const used =
      this.list.contains(document.activeElement) ||
      (canHover.matches && this.list.matches(":hover"));
    return live && used && this.shown.length > 0;
  }

  #details() {
    showDetails(
      this.detail,
      this.chosen && this.samples.selected !== null ? details(this.chosen) : null,
    );
  }
}

const canHover = matchMedia("(hover: hover)");

/** Kinds of messages with their counts in both directions; by protocol, then by code. */
export function kindsOf(state) {
  const kinds = new Map();
  for (const count of entries(state, "counts")) {
    const key = `${count.cap}/${count.code ?? count.name}`;
    const kind = kinds.get(key) || {
      key,
      cap: count.cap,
      code: count.code,
      name: count.name,
      in: NOTHING,
      out: NOTHING,
    };
    kind[count.direction] = count;
    kinds.set(key, kind);
  }
  const list = [...kinds.values()].sort((a, b) => order(a, b));
  const most = Math.max(1, ...list.map((kind) => Math.max(kind.in.per_s, kind.out.per_s)));
  return list.map((kind) => ({
    ...kind,
    inShare: kind.in.per_s / most,
    outShare: kind.out.per_s / most,
  }));
}

function order(a, b) {
  if (a.cap !== b.cap) return a.cap < b.cap ? -1 : 1;
  if (a.code !== b.code) return (a.code ?? -1) - (b.code ?? -1);
  return a.name < b.name ? -1 : 1;
}

function nameOf(message, frame) {
  return frame.state.peers?.[message.peer]?.name || message.addr || shortId(message.id, 12);
}

function summary({ frame, selected, model }, newer) {
  const { messages_in_per_s: received, messages_out_per_s: sent } = frame.point;
  const parts = [`${rate(received)}/s received`, `${rate(sent)}/s sent`];
  if (frame.unseen) parts.push(`${frame.unseen} not sampled`);
  if (model.missed) parts.push(`${counted(model.missed, "update")} missed`);
  if (selected.peer) parts.push("of the selected peer");
  if (newer) parts.push(`held, ${newer} newer`);
  return parts.join(", ");
}

function codeOf({ code }) {
  return code === null ? "" : ` (code ${code})`;
}

function details(message) {
  const pairs = [
    ["Message", `${message.name || "unknown"}${codeOf(message)} of ${message.cap}`],
    ["Direction", message.direction === "in" ? "received" : "sent"],
    ["Peer", message.who || message.addr || message.id],
    ["Time", clockExact(message.t)],
    ["Size", bytes(message.size)],
  ];
  for (const [name, text] of message.fields || []) pairs.push([` ${name}`, text]);
  if (message.error) pairs.push(["Not decoded", message.error]);
  if (message.payload) pairs.push(["First bytes", message.payload]);
  return pairs;
}
