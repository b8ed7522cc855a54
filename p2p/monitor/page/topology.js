// The panel of a lab: its network, where an edge lights up when a message passes, and the nodes as
// a table. Owns the layout and which node is selected. Draws on a canvas, since a
// thousand nodes with their edges are too many elements.

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
      text: "An edge is bright when a message passes, and tinted for a while after.",
    });
    this.figure.append(this.caption);
    this.selected = null;
    this.round = false;
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
    this.lit = litEdges(scene);
    this.found = new Set(this.#matching().map((node) => node.key));
    this.#layOut();
    this.rows.show(this.#matching(), this.selected);
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
      .map((node) => [node, Math.hypot(this.#x(node) - x, this.#y(node) - y)])
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
    this.springs = this.round ? null : new Springs(this.nodes.length, pairs);
    this.places = this.round ? circle(this.nodes.length) : this.springs.fitted();
  }

  #improve() {
    const end = performance.now() + LAYOUT_MS;
    while (!this.springs.done && performance.now() < end) this.springs.advance();
    this.places = this.springs.fitted();
  }

  #again() {
    if (this.drawing || !this.scene || this.section.hidden) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      const grows = this.springs && !this.springs.done;
      if (grows) this.#improve();
      const moves = this.#draw();
      if (grows) this.#again();
      else if (moves && !still.matches) setTimeout(() => this.#again(), FADE_STEP_MS);
    });
  }

  #x(node) {
    return this.half + this.places[this.index.get(node.key)][0] * (this.half - MARGIN);
  }
  #y(node) {
    return this.half + this.places[this.index.get(node.key)][1] * (this.half - MARGIN);
  }

  // Returns whether an edge is still changing its colour.
  #draw() {
    const size = Math.min(widthOf(this.figure), LARGEST);
    if (!size) return false;
    this.half = size / 2;
    const context = fitted(this.canvas, this.context, size);
    const { colours } = this;
    const time = this.#time();
    const byKey = new Map(this.nodes.map((node) => [node.key, node]));
    let moves = false;
    for (const edge of this.edges) {
      const [a, b] = [byKey.get(edge.a), byKey.get(edge.b)];
      if (!a || !b) continue;
      const light = brightness(time - (this.lit.get(edge.key) ?? -Infinity));
      moves ||= light > TINT;
      this.#edge(context, colours, edge, [a, b], light);
    }
    for (const node of this.nodes) this.#node(context, colours, node);
    return moves;
  }

  // The moment shown, which goes on between two updates while it is live.
  #time() {
    const { live, frame } = this.scene;
    return live && !still.matches ? frame.t + (performance.now() - this.arrived) / 1000 : frame.t;
  }

  #edge(context, colours, edge, [a, b], light) {
    const chosen = edge.a === this.selected || edge.b === this.selected;
    context.beginPath();
    context.moveTo(this.#x(a), this.#y(a));
    context.lineTo(this.#x(b), this.#y(b));
    context.setLineDash(edge.state === "up" ? [] : [3, 4]);
    context.globalAlpha = chosen || edge.state === "cut" ? 1 : 0.4;
    context.strokeStyle = edge.state === "cut" ? colours.alarm : colours.soft;
    context.lineWidth = chosen ? 1.5 : 1;
    context.stroke();
    if (!light) return;
    context.globalAlpha = light;
    context.strokeStyle = colours.out;
    context.lineWidth = 1 + 1.5 * light;
    context.stroke();
  }

  #node(context, colours, node) {
    const [x, y] = [this.#x(node), this.#y(node)];
    context.setLineDash([]);
    context.globalAlpha = this.found.has(node.key) ? 1 : 0.2;
    context.beginPath();
    context.arc(x, y, radiusOf(node, this.nodes.length), 0, 2 * Math.PI);
    context.fillStyle = !node.running ? colours.panel : node.note ? colours.out : colours.accent;
    context.strokeStyle =
      node.key === this.selected ? colours.ink : node.running ? colours.panel : colours.soft;
    context.lineWidth = node.key === this.selected ? 3 : 1.5;
    context.fill();
    context.stroke();
    if (this.nodes.length > NAMES_UP_TO && node.key !== this.selected) return;
    context.fillStyle = colours.soft;
    context.font = "11px Inter, system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(node.name.slice(0, 24), x, y + 17);
  }
}

// The last moment at which each edge has carried a message.
function litEdges({ model, frame }) {
  const lit = new Map();
  for (const { t, from, to } of model.between(model.activity, frame.t - TINTED_S, frame.t)) {
    lit.set(Number(from) < Number(to) ? `${from}-${to}` : `${to}-${from}`, t);
  }
  return lit;
}

// A node with a note is larger, for those who do not see that its colour is another.
function radiusOf(node, count) {
  return (count > 200 ? 3 : 5) * (node.note ? 1.3 : 1);
}

function brightness(age) {
  if (age > TINTED_S || age < 0) return age < 0 ? 1 : 0;
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
