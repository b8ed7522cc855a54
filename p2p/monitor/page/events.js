// The panel of events: peers and nodes that come and go with the reason, notes, warnings. Owns no
// data.

import { element, reconcile, setText } from "./dom.js";
import { clock } from "./format.js";
import { NOTHING_FITS } from "./rows.js";

const SHOWN = 100;

export class Events {
  constructor(section) {
    this.count = section.querySelector(".count");
    this.list = section.querySelector("ol");
    this.empty = section.querySelector(".empty");
  }

  render(scene) {
    const shown = Events.shown(scene);
    setText(this.count, shown.length ? `the latest ${shown.length}` : "");
    setText(this.empty, scene.query ? NOTHING_FITS : "Nothing has happened.");
    this.empty.hidden = shown.length > 0;
    this.list.hidden = shown.length === 0;
    reconcile(this.list, shown, keyOf, create, () => {});
  }

  /** The events up to the moment that fit the filter, the latest first. */
  static shown({ model, frame, matches }) {
    return model
      .upTo(model.events, frame.t, SHOWN)
      .filter((event) => matches(event.kind, event.text, event.id))
      .reverse();
  }
}

function keyOf({ t, kind, text, peer, node }) {
  return [t, kind, peer, node, text].join(" ");
}

function create({ t, kind, text }) {
  return element(
    "li",
    { "data-kind": kind },
    element("time", { text: clock(t) }),
    element("span", { class: "kind", text: kind }),
    element("bdi", { text, title: text, dir: "ltr" }), // a sentence of ours with names in it
  );
}
