// The panel of a lab: its network, where an edge lights up when a message passes, and the nodes as
// a table. Owns the layout and which node is selected. Draws on a canvas, since a thousand nodes
// with their edges are too many elements. It is drawn one update late, so that what has happened
// between two updates is seen in its order.

import { element, set, setText, widthOf } from "./dom.js";
import { counted, shortId } from "./format.js";
import { circle, Springs } from "./layout.js";
import { entries } from "./model.js";
import { Rows } from "./rows.js";

const LARGEST = 620;
const MARGIN = 26;
/** An edge is bright for a moment after a message, then tinted, then as before; in seconds. */
const BRIGHT_S = 1.2;
const TINTED_S = 12;
const TINT = 0.45;
/** Edges within one step of brightness are drawn at once. */
const LEVELS = 12;
/** A node that gets a note has a ring that grows for a moment, in CSS pixels. */
const RING = 11;
/** A fading edge is drawn again so often: more would cost more than it shows. */
const FADE_STEP_MS = 60;
const NAMES_UP_TO = 40;
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
    this.context = this.canvas.getContext("2d");
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
    this.colours = coloursOf(this.canvas);
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
        const [nodeX, nodeY] = this.#point(node.key);
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

  // The point of a node on the canvas.
  #point(key) {
    const place = this.places[this.index.get(key)];
    return place?.map((one) => this.half + one * (this.half - MARGIN));
  }

  // Returns whether something will look different soon.
  #draw() {
    const size = Math.min(widthOf(this.figure), LARGEST);
    if (!size) return false;
    this.half = size / 2;
    const context = fitted(this.canvas, this.context, size);
    const points = new Map(this.nodes.map(({ key }) => [key, this.#point(key)]));
    const edges = this.edges.filter(({ a, b }) => points.has(a) && points.has(b));
    const time = this.#time();
    this.#drawEdges(context, edges, points);
    const moves = this.#drawLight(context, edges, points, time);
    for (const node of this.nodes) this.#drawNode(context, node, points.get(node.key), time);
    return moves || [...this.noted.values()].some((noted) => time - noted < BRIGHT_S);
  }

  // The moment drawn, which goes on between two updates while it is live.
  #time() {
    const { live, frame } = this.scene;
    if (!live || still.matches) return frame.t;
    return frame.t - tickOf(this.scene) + (performance.now() - this.arrived) / 1000;
  }

  #drawEdges(context, edges, points) {
    const { colours } = this;
    for (const group of grouped(edges, (edge) => `${edge.state} ${this.#isChosen(edge)}`)) {
      const [{ state }] = group;
      const chosen = this.#isChosen(group[0]);
      context.setLineDash(state === "up" ? [] : [3, 4]);
      context.globalAlpha = chosen || state === "cut" ? 1 : 0.4;
      context.strokeStyle = state === "cut" ? colours.alarm : colours.soft;
      context.lineWidth = chosen ? 1.5 : 1;
      strokeAll(context, group, points);
    }
    context.setLineDash([]);
  }

  #isChosen({ a, b }) {
    return a === this.selected || b === this.selected;
  }

  #drawLight(context, edges, points, time) {
    let moves = false;
    const levelOf = ({ key }) => {
      const times = this.lit.get(key) ?? [];
      const light = brightness(time - (times.findLast((one) => one <= time) ?? -Infinity));
      moves ||= light > TINT || times.at(-1) > time;
      return Math.round(light * LEVELS);
    };
    context.strokeStyle = this.colours.out;
    for (const group of grouped(edges, levelOf)) {
      const light = levelOf(group[0]) / LEVELS;
      if (!light) continue;
      context.globalAlpha = light;
      context.lineWidth = 1 + 1.5 * light;
      strokeAll(context, group, points);
    }
    return moves;
  }

  #drawNode(context, node, [x, y], time) {
    const { colours } = this;
    const noted = this.noted.get(node.key);
    const note = noted > time ? this.before[node.key]?.note : node.note;
    const radius = radiusOf(note, this.nodes.length);
    const chosen = node.key === this.selected;
    if (!still.matches) drawRing(context, [x, y], radius, (time - noted) / BRIGHT_S, colours.out);
    context.globalAlpha = this.found.has(node.key) ? 1 : 0.2;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = !node.running ? colours.panel : note ? colours.out : colours.accent;
    context.strokeStyle = chosen ? colours.ink : node.running ? colours.panel : colours.soft;
    context.lineWidth = chosen ? 3 : 1.5;
    context.fill();
    context.stroke();
    if (this.nodes.length > NAMES_UP_TO && !chosen) return;
    context.fillStyle = colours.soft;
    context.font = "11px Inter, system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(node.name.slice(0, 24), x, y + 17);
  }
}

function tickOf({ model }) {
  return model.hello.tick_s ?? 0.5;
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (groups.has(key)) groups.get(key).push(item);
    else groups.set(key, [item]);
  }
  return groups.values();
}

function strokeAll(context, edges, points) {
  context.beginPath();
  for (const { a, b } of edges) {
    context.moveTo(...points.get(a));
    context.lineTo(...points.get(b));
  }
  context.stroke();
}

// A ring that grows and fades; `part` of its time is over.
function drawRing(context, [x, y], radius, part, colour) {
  if (!(part >= 0 && part < 1)) return;
  context.globalAlpha = 1 - part;
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, radius + RING * part, 0, 2 * Math.PI);
  context.stroke();
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

// A node with a note is larger, for those who do not see that its colour is another.
function radiusOf(note, count) {
  return (count > 200 ? 3 : 5) * (note ? 1.3 : 1);
}

function brightness(age) {
  if (age > TINTED_S) return 0;
  if (age < BRIGHT_S) return 1 - (1 - TINT) * (age / BRIGHT_S);
  return TINT;
}

function fitted(canvas, context, size) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(size * ratio)) {
    canvas.width = canvas.height = Math.round(size * ratio);
    canvas.style.width = canvas.style.height = `${size}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size, size);
  return context;
}

// The colours of the style sheet, which depend on light and dark.
function coloursOf(canvas) {
  const names = ["ink", "soft", "line", "panel", "accent", "out", "alarm"];
  return Object.fromEntries(
    names.map((name) => {
      canvas.style.color = `var(--${name})`;
      return [name, getComputedStyle(canvas).color];
    }),
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
