// The state of the server as its messages tell it, and the frames of the last minutes. Owns both.
// A frame is never changed once it is made: a new one shares what has not changed, so some hundred
// of them are cheap, and any of them can be shown again.

/** What is kept at most, whatever the server sends: five minutes of 20 samples a second. */
const MAX_FRAMES = 1500;
const MAX_MESSAGES = 6000;
const MAX_EVENTS = 500;
const MAX_ACTIVITY = 50_000;
/** A time that is so much earlier than the one before is of a clock that was set, in seconds. */
const CLOCK_SET_S = 1;

const NO_POINT = {
  bytes_in_per_s: 0,
  bytes_out_per_s: 0,
  messages_in_per_s: 0,
  messages_out_per_s: 0,
  packets_in_per_s: 0,
  packets_out_per_s: 0,
  cpu: 0,
  threads: 0,
  peers: 0,
  nodes: 0,
};

export class Model {
  constructor() {
    this.hello = null;
    this.error = "";
    this.#clear();
  }

  /** Take one message of the server. */
  receive(message) {
    switch (message.type) {
      case "hello":
        this.hello = message;
        this.error = "";
        this.#clear();
        break;
      case "snapshot":
        this.#snapshot(message);
        break;
      case "update":
        this.#update(message);
        break;
      case "live":
        this.caughtUp = true;
        break;
      case "error":
        this.error = message.text;
        break;
      default: // a newer server may send more kinds
    }
  }

  get latest() {
    return this.frames.at(-1) || null;
  }

  /** Whether a moment lies in what is kept. */
  covers(time) {
    return this.caughtUp && this.frames.length > 0 && this.frames[0].t <= time;
  }

  /** The same as it is now, which no later message changes. */
  copy() {
    const { frames, messages, events, activity } = this;
    const lists = { frames, messages, events, activity };
    for (const [name, list] of Object.entries(lists)) lists[name] = [...list];
    return Object.assign(Object.create(Model.prototype), this, lists);
  }

  /** The last frame at or before a moment, else the first. */
  frameAt(time) {
    return this.frames[Math.max(0, firstAfter(this.frames, time) - 1)] || null;
  }

  /** Messages, events or activity up to a moment, at most `count` of them, the newest last. */
  upTo(list, time, count) {
    const end = firstAfter(list, time);
    return list.slice(Math.max(0, end - count), end);
  }

  /** What happened after one moment, up to another. */
  between(list, after, time) {
    return list.slice(firstAfter(list, after), firstAfter(list, time));
  }

  #clear() {
    this.caughtUp = false;
    this.frames = [];
    this.messages = [];
    this.events = [];
    this.activity = [];
    this.unseen = 0;
    this.missed = 0;
  }

  #snapshot({ n, t, state, missed = 0 }) {
    this.missed += missed;
    const point = this.latest?.point || NO_POINT;
    this.#forgetAfter(t);
    this.#add({ n, t, state, point, unseen: this.unseen });
  }

  #update({
    n,
    t,
    set = {},
    remove = {},
    point,
    messages = [],
    events = [],
    activity = [],
    unseen = 0,
  }) {
    const before = this.latest;
    if (!before) return;
    if (point && before.point === NO_POINT)
      this.frames[this.frames.length - 1] = { ...before, point: { ...NO_POINT, ...point } };
    this.unseen += unseen;
    this.#forgetAfter(t);
    keep(this.messages, messages, MAX_MESSAGES);
    keep(this.events, events, MAX_EVENTS);
    keep(this.activity, activity, MAX_ACTIVITY);
    const state = changed(before.state, set, remove);
    this.#add({
      n,
      t,
      state,
      point: point ? { ...NO_POINT, ...point } : before.point,
      unseen: this.unseen,
    });
  }

  // Where the server's clock was set back, the lists stay in order.
  #forgetAfter(time) {
    if (!(this.latest?.t > time + CLOCK_SET_S)) return;
    for (const name of ["frames", "messages", "events", "activity"])
      this[name] = this[name].filter((one) => one.t <= time);
  }

  #add(frame) {
    this.frames.push(frame);
    const oldest = frame.t - (this.hello?.history_s ?? 300);
    const old = this.frames.findIndex((one) => one.t >= oldest);
    this.frames.splice(0, Math.max(old, this.frames.length - MAX_FRAMES));
  }
}

// A state with the changes; collections and entries that do not change are shared.
function changed(state, set, remove) {
  const result = { ...state };
  for (const [name, entries] of Object.entries(set)) {
    const collection = { ...result[name] };
    for (const [key, fields] of Object.entries(entries))
      collection[key] = { ...collection[key], ...fields };
    result[name] = collection;
  }
  for (const [name, keys] of Object.entries(remove)) {
    const collection = { ...result[name] };
    for (const key of keys) delete collection[key];
    result[name] = collection;
  }
  return result;
}

function keep(list, added, most) {
  for (const one of added) list.push(one);
  if (list.length > most) list.splice(0, list.length - most);
}

// The place of the first entry after a moment; the list is in order of time.
function firstAfter(list, time) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].t <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entries of a collection, each with its key. The latest result is kept, by name. */
export function entries(state, name) {
  const collection = state[name];
  if (!collection) return [];
  if (listed.get(name)?.collection !== collection) {
    const list = Object.entries(collection).map(([key, entry]) => ({ key, ...entry }));
    listed.set(name, { collection, list });
  }
  return listed.get(name).list;
}

const listed = new Map();
