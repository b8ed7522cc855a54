// The panel of peers: ring, table, and details of the selected one. Owns no data.

import { setText } from "./dom.js";
import { age, byteRate, bytes, clock, counted, rate } from "./format.js";
import { byDistance, Ring } from "./ring.js";
import { Rows, showDetails } from "./rows.js";
import { entries } from "./model.js";

const COLUMNS = [
  {
    title: "Direction",
    quiet: true,
    kind: "direction",
    text: (p) => (p.inbound ? "in" : "out"),
    mark: (p) => (p.inbound ? "in" : "out"),
  },
  { title: "Name", kind: "name", remote: true, text: (p) => p.name, hint: (p) => p.name },
  {
    title: "Protocols",
    kind: "caps",
    remote: true,
    text: (p) => inUse(p),
    hint: (p) => (p.caps || []).join(", "),
  },
  { title: "Distance", kind: "number distance", text: (p) => p.distance },
  { title: "Received", kind: "number in", text: (p) => byteRate(p.bytes_in_per_s) },
  { title: "Sent", kind: "number out", text: (p) => byteRate(p.bytes_out_per_s) },
  { title: "For", kind: "number age", text: (p) => age(p.now - p.since_t) },
];

export class Peers {
  constructor(section, onSelect) {
    this.count = section.querySelector(".count");
    this.detail = section.querySelector(".detail");
    this.ring = new Ring(section.querySelector(".ring"), onSelect);
    this.rows = new Rows(section.querySelector(".list"), {
      label: "Peers",
      columns: COLUMNS,
      key: (peer) => peer.key,
      empty: "No peer is connected.",
      onSelect: (peer) => onSelect(peer?.key ?? null),
    });
  }

  render({ frame, selected, query, matches }) {
    const stalled = new Set(entries(frame.state, "stalls").map((stall) => stall.peer));
    const peers = entries(frame.state, "peers")
      .map((peer) => ({ ...peer, now: frame.t, stalled: stalled.has(peer.key) }))
      .sort(byDistance);
    const found = peers.filter((peer) => matchesPeer(peer, matches));
    const most = frame.state.node?.self?.max_peers;
    setText(this.count, summary(peers, found, most));
    this.ring.render(peers, {
      selected: selected.peer,
      matches: (peer) => matchesPeer(peer, matches),
    });
    this.rows.show(found, selected.peer, query);
    const chosen = peers.find((peer) => peer.key === selected.peer);
    showDetails(this.detail, chosen ? details(chosen) : null);
  }

  /** What an export has of this panel. */
  static shown({ frame, matches }) {
    return entries(frame.state, "peers").filter((peer) => matchesPeer(peer, matches));
  }
}

/** Names of the protocols in use; those announced, if none is. */
function inUse(peer) {
  return (peer.shared?.length ? peer.shared : peer.caps || []).join(" ");
}

function matchesPeer(peer, matches) {
  return matches(
    peer.name,
    peer.id,
    peer.addr,
    peer.inbound ? "inbound" : "outbound",
    ...(peer.caps || []),
  );
}

function summary(peers, found, most) {
  const inbound = peers.filter((peer) => peer.inbound).length;
  const parts = [most ? `${peers.length} of at most ${most}` : String(peers.length)];
  parts.push(`${inbound} inbound`, `${peers.length - inbound} outbound`);
  if (found.length < peers.length) parts.push(`${counted(found.length, "fits", "fit")} the filter`);
  return parts.join(", ");
}

function details(peer) {
  const kind = [
    peer.inbound ? "inbound" : "outbound",
    peer.static && "static",
    peer.trusted && "trusted",
  ];
  return [
    ["Name", peer.name],
    ["Node ID", peer.id],
    ["Address", peer.addr],
    ["Connection", kind.filter(Boolean).join(", ")],
    ["Connected", `${clock(peer.since_t)}, for ${age(peer.now - peer.since_t)}`],
    ["Announced", (peer.caps || []).join(", ")],
    ["In use", (peer.shared || []).join(", ") || "none"],
    ["Received", traffic(peer.bytes_in, peer.messages_in, peer.messages_in_per_s)],
    ["Sent", traffic(peer.bytes_out, peer.messages_out, peer.messages_out_per_s)],
  ];
}

function traffic(size, messages, perSecond) {
  return `${bytes(size)} in ${counted(messages, "message")}, ${rate(perSecond)}/s`;
}
