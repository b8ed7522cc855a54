// What a screen reader says by itself: a sentence now and then about what has changed, never one
// for each change. Owns the live region and when it spoke last.

import { setText } from "./dom.js";
import { counted } from "./format.js";

const QUIET_MS = 15_000;

export class News {
  constructor(region) {
    this.region = region;
    this.spoken = -Infinity;
    this.heard = null;
  }

  /** Say at once what the user has just caused. */
  say(text) {
    setText(this.region, text);
    this.spoken = performance.now();
  }

  /** Tell of the present, if it has been quiet for long enough and something has changed. */
  tell(state) {
    const facts = factsOf(state);
    if (this.heard === null) this.heard = facts;
    if (facts === this.heard || performance.now() - this.spoken < QUIET_MS) return;
    this.heard = facts;
    this.say(facts);
  }
}

function factsOf(state) {
  const size = (name) => Object.keys(state[name] || {}).length;
  const parts = [counted(size("peers"), "peer")];
  if (size("stalls")) parts.push(counted(size("stalls"), "stalled handler"));
  if (size("lab_nodes")) parts.push(counted(size("lab_nodes"), "node"));
  return parts.join(", ");
}
