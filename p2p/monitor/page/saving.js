// The export: what is shown, as a file of JSON. Owns what is in it.

import { Dials, Stalls } from "./dials.js";
import { Events } from "./events.js";
import { Lookups } from "./lookups.js";
import { kindsOf } from "./messages.js";
import { NodeTable } from "./nodetable.js";
import { Peers } from "./peers.js";
import { Topology } from "./topology.js";

/** What is shown: the moment, and the entries of each panel that fit the filter. */
export function shownNow(scene, messages) {
  const { frame, model, query } = scene;
  return {
    title: model.hello.title,
    time: new Date(frame.t * 1000).toISOString(),
    filter: query,
    node: frame.state.node?.self ?? null,
    point: frame.point,
    peers: Peers.shown(scene),
    messages: messages.fitting(scene),
    counts: kindsOf(frame.state),
    nodes: NodeTable.shown(scene),
    lookups: Lookups.shown(scene),
    dials: Dials.shown(scene),
    stalls: Stalls.shown(scene),
    events: Events.shown(scene),
    ...(model.hello.kind === "lab" ? { lab: Topology.shown(scene) } : {}),
    charts: model.frames.map(({ t, point }) => ({ t, ...point })),
  };
}

/** Give the user an object as a file. */
export function save(name, object) {
  const blob = new Blob([JSON.stringify(object, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
