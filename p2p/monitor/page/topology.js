// The panel of a lab: its network, where an edge lights up when a message passes, and the nodes as
// a table. Owns the layout, which node is selected, and the moment that is drawn: one update late,
// so that what has happened between two updates is seen in its order.

import { element, set, setText, widthOf } from "./dom.js";
import { counted, shortId } from "./format.js";
import { circle, Springs } from "./layout.js";
import { entries } from "./model.js";
import { Network, TINTED_S } from "./network.js";
import { Rows } from "./rows.js";

const LARGEST = 620;
const MARGIN = 26;
/** A fading edge is drawn again so often: more would cost more than it shows. */
const FADE_STEP_MS = 60;
const CLICK_RADIUS = 14;
/** Work on the layout within one frame of the browser, in milliseconds. */
const LAYOUT_MS = 8;

const COLUMNS = [
  { title: "Node", kind: "name", remote: true, text: (n) => n.name, hint: (n) => n.id },
  {
    title: "State",
    kind: "state",
    text: (n) => (n.running ? "runs" : "stopped"),
    mark: (n) => (n.running ? "live" : "unproven"),
  },
  { title: "Peers", kind: "number", text: (n) => n.peers },
  { title: "Note", kind: "name", remote: true, text: (n) => n.note, hint: (n) => n.note },
  { title: "ID", kind: "id mono", text: (n) => shortId(n.id, 8), hint: (n) => n.id },
];

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Topology {
  constructor(section) {
    this.section = section;
    this.figure = section.querySelector(".drawing");
    this.canvas = section.querySelector("canvas");
    this.network = new Network(this.canvas);
    this.count = section.querySelector(".count");
    this.caption = element("figcaption", {
      text:
        "An edge is bright when a message passes, and tinted for a while after. " +
        "A node with a note is larger, in the same colour.",
    });
    this.figure.append(this.caption);
    this.selected = null;
    this.round = false;
    this.placed = new Map(); // places by key, as the springs have them
    this.points = new Map(); // points on the canvas by key, as drawn
    this.rows = new Rows(section.querySelector(".list"), {
      label: "Nodes of the network",
      columns: COLUMNS,
      key: (node) => node.key,
      empty: "The network has no node.",
      onSelect: (node) => this.#select(node?.key ?? null),
    });
    const button = section.querySelector("#layout");
    button.addEventListener("click", () => {
      this.round = !this.round;
      set(button, "aria-pressed", this.round);
      this.#layOut();
      this.#again();
    });
    this.canvas.addEventListener("click", (event) => this.#hit(event));
  }

  render(scene) {
    this.section.hidden = scene.model.hello.kind !== "lab";
    if (this.section.hidden) return;
    this.scene = scene;
    this.arrived = performance.now();
    this.network.readColours();
    this.nodes = entries(scene.frame.state, "lab_nodes");
    this.edges = entries(scene.frame.state, "edges");
    const since = [scene.frame.t - TINTED_S - tickOf(scene), scene.frame.t];
    this.lit = litEdges(scene.model.between(scene.model.activity, ...since));
    this.noted = notedNodes(scene.model.between(scene.model.events, ...since));
    this.before = scene.model.frameAt(scene.frame.t - 1e-6)?.state.lab_nodes ?? {};
    this.found = new Set(this.#matching().map((node) => node.key));
    this.#layOut();
    this.rows.show(this.#matching(), this.selected, scene.query);
    setText(this.count, summary(this.nodes, this.edges));
    this.#again();
  }

  /** What an export has of this panel. */
  static shown({ frame }) {
    return { nodes: entries(frame.state, "lab_nodes"), edges: entries(frame.state, "edges") };
  }

  #matching() {
    return this.nodes.filter((node) => this.scene.matches(node.name, node.id, node.note));
  }

  #select(key) {
    this.selected = key;
    this.#again();
  }

  #hit(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const near = this.nodes
      .map((node) => {
        const [nodeX, nodeY] = this.points.get(node.key) ?? [Infinity, Infinity];
        return [node, Math.hypot(nodeX - x, nodeY - y)];
      })
      .sort((a, b) => a[1] - b[1])[0];
    this.#select(
      near && near[1] < CLICK_RADIUS && near[0].key !== this.selected ? near[0].key : null,
    );
    this.rows.show(this.#matching(), this.selected);
  }

  // A new layout only where nodes or edges have come or gone, not where their state is another.
  #layOut() {
    const keys = [...this.nodes, ...this.edges].map((one) => one.key);
    const shape = `${this.round} ${keys}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.index = new Map(this.nodes.map((node, place) => [node.key, place]));
    const pairs = this.edges
      .map(({ a, b }) => [this.index.get(a), this.index.get(b)])
      .filter(([a, b]) => a !== undefined && b !== undefined);
    this.springs = this.round ? null : new Springs(this.nodes.length, pairs, this.#known());
    this.places = this.round ? circle(this.nodes.length) : this.springs.fitted();
  }

  // The places that nodes have had in the springs before, by their place in the list of now.
  #known() {
    const stay = [...this.placed].filter(([key]) => this.index.has(key));
    return new Map(stay.map(([key, place]) => [this.index.get(key), place]));
  }

  #improve() {
    const end = performance.now() + LAYOUT_MS;
    while (!this.springs.done && performance.now() < end) this.springs.advance();
    this.places = this.springs.fitted();
    this.placed = new Map(this.nodes.map(({ key }, n) => [key, this.springs.places[n]]));
  }

  #again() {
    if (this.drawing || !this.scene || this.section.hidden) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      const grows = this.springs && !this.springs.done;
      if (grows) this.#improve();
      const moves = this.#draw();
      clearTimeout(this.timer);
      if (grows) this.#again();
      else if (moves && !still.matches)
        this.timer = setTimeout(() => this.#again(), FADE_STEP_MS);
    });
  }

  // Returns whether something will look different soon.
  #draw() {
    const size = Math.min(widthOf(this.figure), LARGEST);
    if (!size) return false;
    const { nodes, edges, places, index, selected, found, lit, noted, before } = this;
    this.points = pointsOf(nodes, ({ key }) => places[index.get(key)], size);
    const scene = { nodes, edges, points: this.points, selected, found, lit, noted, before };
    const moves = this.network.draw(scene, this.#time(), size, !still.matches);
    return moves && this.scene.live;
  }

  // The moment drawn, which goes on between two updates while it is live.
  #time() {
    const { live, frame } = this.scene;
    if (!live || still.matches) return frame.t;
    return frame.t - tickOf(this.scene) + (performance.now() - this.arrived) / 1000;
  }
}

// Points of the nodes on a canvas of this size, by key, from their places in a square of -1 to 1.
function pointsOf(nodes, placeOf, size) {
  const scaled = (place) => size / 2 + place * (size / 2 - MARGIN);
  return new Map(nodes.map((node) => [node.key, placeOf(node).map(scaled)]));
}

function tickOf({ model }) {
  return model.hello.tick_s ?? 0.5;
}

// The moments at which each edge has carried a message, in order.
function litEdges(activity) {
  const lit = new Map();
  for (const { t, from, to } of activity) {
    const key = Number(from) < Number(to) ? `${from}-${to}` : `${to}-${from}`;
    if (lit.has(key)) lit.get(key).push(t);
    else lit.set(key, [t]);
  }
  return lit;
}

// The last moment at which each node got a note.
function notedNodes(events) {
  return new Map(
    events.filter(({ kind, node }) => kind === "note" && node).map(({ node, t }) => [node, t]),
  );
}

function summary(nodes, edges) {
  const running = nodes.filter((node) => node.running).length;
  const cut = edges.filter((edge) => edge.state === "cut").length;
  const parts = [
    counted(nodes.length, "node"),
    `${running} running`,
    counted(edges.length, "edge"),
  ];
  if (cut) parts.push(`${cut} cut`);
  return parts.join(", ");
}
