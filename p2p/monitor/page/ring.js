// The peers as a ring: clockwise by distance from us, one group for each distance. From the hub
// outward grows what we send to a peer, from the ring inward what it sends. Owns the drawing only.

import { element, reconcile, set, setText, svg, widthOf } from "./dom.js";
import { byteRate, counted } from "./format.js";

const FULL_TURN = 2 * Math.PI;
const HUB = 30;
/** Room for a label: beside the dot, and for each letter. */
const LABEL_GAP = 18;
const LETTER = 6.2;
const LARGEST = 560;
/** Where labels would leave less for the ring, or beside this many peers, no peer has a label. */
const LEAST_RADIUS = 100;
const LABELS_UP_TO = 64;
/** Peers that are drawn; the table lists more. */
const MAX_DRAWN = 256;
const LABEL_LENGTH = 18;
/** Rates from here on the length of a bar, on a logarithmic scale, in bytes a second. */
const LOWEST_RATE = 10;
const HIGHEST_RATE = 10e6;

export class Ring {
  constructor(figure, onSelect) {
    this.figure = figure;
    this.marks = svg("g", { class: "marks" });
    this.peers = svg("g");
    this.number = svg("text", { class: "hub-number", y: 4 });
    this.word = svg("text", { class: "hub-word", y: 17 });
    const hub = svg("g", { class: "hub" }, svg("circle", { r: HUB }), this.number, this.word);
    this.drawing = svg("svg", { role: "img" }, this.marks, this.peers, hub);
    figure.append(this.drawing, legend());
    this.peers.addEventListener("click", (event) => {
      const peer = event.target.closest("g.peer");
      if (peer) onSelect(peer.dataset.key);
    });
  }

  render(peers, { selected, matches }) {
    const width = widthOf(this.figure);
    if (!width) return;
    const drawn = peers.slice(0, MAX_DRAWN);
    const size = Math.min(width, LARGEST);
    const labelled = size / 2 - labelSpace(drawn);
    const labels = labelled >= LEAST_RADIUS && drawn.length <= LABELS_UP_TO;
    const radius = labels ? labelled : size / 2 - 16;
    set(this.drawing, "viewBox", `${-size / 2} ${-size / 2} ${size} ${size}`);
    set(this.drawing, "width", size);
    set(this.drawing, "height", size);
    set(this.drawing, "aria-label", describe(peers));
    setText(this.number, peers.length);
    setText(this.word, peers.length === 1 ? "peer" : "peers");
    const { places, groups } = arrange(drawn);
    this.#showPeers(drawn, { places, radius, labels, selected, matches });
    reconcile(
      this.marks,
      groups,
      (group) => group.distance,
      createMark,
      (node, group) => placeMark(node, group, radius),
    );
  }

  #showPeers(drawn, { places, radius, labels, selected, matches }) {
    reconcile(
      this.peers,
      drawn,
      (peer) => peer.key,
      createPeer,
      (node, peer) => {
        const angle = places.get(peer.key);
        set(node, "class", peerClass(peer, selected, matches));
        set(node, "transform", `rotate(${degrees(angle)})`);
        updatePeer(node, peer, radius, labels && upsideDown(angle), labels);
      },
    );
  }
}

/** Order of the ring and of the table: nearest first. */
export function byDistance(a, b) {
  return a.distance - b.distance || (a.id < b.id ? -1 : 1);
}

function describe(peers) {
  const inbound = peers.filter((peer) => peer.inbound).length;
  const count = counted(peers.length, "peer");
  return `Ring of ${count} by distance, ${inbound} inbound. The table lists them.`;
}

// An angle for each peer, and for each distance the angle of the gap before its peers.
function arrange(peers) {
  const distances = [...new Set(peers.map((peer) => peer.distance))];
  const places = new Map();
  const groups = [];
  const step = FULL_TURN / Math.max(1, peers.length + distances.length);
  let angle = -FULL_TURN / 4;
  for (const peer of peers) {
    if (groups.at(-1)?.distance !== peer.distance) {
      groups.push({ distance: peer.distance, angle });
      angle += step;
    }
    places.set(peer.key, angle);
    angle += step;
  }
  return { places, groups };
}

function createMark(group) {
  return svg("text", { class: "mark", dy: "0.35em", text: group.distance });
}

function placeMark(node, { angle }, radius) {
  set(node, "x", (Math.cos(angle) * radius).toFixed(1));
  set(node, "y", (Math.sin(angle) * radius).toFixed(1));
}

function createPeer(peer) {
  return svg(
    "g",
    { "data-key": peer.key },
    svg("title"),
    svg("line", { class: "hit" }),
    svg("line", { class: "spoke" }),
    svg("line", { class: "out", y1: 2, y2: 2 }),
    svg("line", { class: "in", y1: -2, y2: -2 }),
    svg("circle", { class: "node" }),
    svg("path", { class: "arrow" }),
    svg("text", { class: "label", dy: "0.35em" }),
  );
}

function updatePeer(node, peer, radius, flipped, labels) {
  const [title, hit, spoke, out, into, dot, arrow, label] = node.childNodes;
  const room = radius - HUB - 24;
  setText(
    title,
    `${peer.name}\nin ${byteRate(peer.bytes_in_per_s)}, out ${byteRate(peer.bytes_out_per_s)}`,
  );
  span(hit, HUB, radius + 12);
  span(spoke, HUB + 4, radius - 8);
  span(out, HUB + 5, HUB + 5 + room * share(peer.bytes_out_per_s));
  span(into, radius - 11, radius - 11 - room * share(peer.bytes_in_per_s));
  set(dot, "cx", radius);
  set(dot, "r", 6.5);
  set(arrow, "d", arrowAt(radius, peer.inbound));
  placeLabel(label, labels ? cut(peer.name) : "", radius, flipped);
}

function span(line, from, to) {
  set(line, "x1", from.toFixed(1));
  set(line, "x2", to.toFixed(1));
}

// A triangle within the dot: towards us for a peer that has come to us, else outward.
function arrowAt(radius, inbound) {
  const tip = inbound ? -3.2 : 3.2;
  return `M${radius + tip} 0L${radius - tip * 0.8} 3.2V-3.2Z`;
}

function placeLabel(label, text, radius, flipped) {
  const at = radius + 13;
  setText(label, text);
  set(label, "x", flipped ? -at : at);
  set(label, "transform", flipped ? "rotate(180)" : null);
  set(label, "text-anchor", flipped ? "end" : "start");
}

function share(rate) {
  if (!(rate > LOWEST_RATE)) return 0;
  const value = Math.log(rate / LOWEST_RATE) / Math.log(HIGHEST_RATE / LOWEST_RATE);
  return Math.min(1, Math.max(0.02, value));
}

function peerClass(peer, selected, matches) {
  const names = ["peer"];
  if (peer.key === selected) names.push("selected");
  if (peer.stalled) names.push("stalled");
  if (!matches(peer)) names.push("dim");
  return names.join(" ");
}

function cut(text) {
  const letters = Array.from(text.slice(0, 4 * LABEL_LENGTH));
  return letters.length > LABEL_LENGTH
    ? `${letters.slice(0, LABEL_LENGTH - 1).join("")}…`
    : letters.join("");
}

function degrees(angle) {
  return ((angle * 360) / FULL_TURN).toFixed(2);
}

function labelSpace(peers) {
  const longest = peers.reduce((most, peer) => Math.max(most, cut(peer.name).length), 0);
  return LABEL_GAP + LETTER * longest;
}

function upsideDown(angle) {
  return Math.cos(angle) < -1e-9;
}

function legend() {
  const swatch = (kind) =>
    svg(
      "svg",
      { class: "swatch", width: 14, height: 8, "aria-hidden": "true" },
      svg("line", { class: kind, x1: 1, x2: 13, y1: 4, y2: 4 }),
    );
  return element(
    "figcaption",
    {},
    element("span", {}, swatch("in"), " received"),
    element("span", {}, swatch("out"), " sent, in bytes a second, logarithmic"),
    element("span", { text: "arrow inward: inbound" }),
  );
}
