// The drawing of a network: edges, the light of messages that pass, nodes with their notes, names.
// Owns the canvas; a thousand nodes with their edges are too many elements.

/** An edge is bright for a moment after a message, then tinted, then as before; in seconds. */
const BRIGHT_S = 1.2;
export const TINTED_S = 12;
const TINT = 0.45;
/** Edges within one step of brightness are drawn at once. */
const LEVELS = 12;
/** A node that gets a note has a ring that grows for a moment, by so many of its radii. */
const RING = 1.7;
/** Names below nodes: beside how many, of how many letters, and where, in CSS pixels. */
const NAMES_UP_TO = 40;
const MAX_NAME = 24;
const NAME_BELOW = 17;
/** What does not fit the filter. */
const DIM = 0.2;

export class Network {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  /** Use the colours that the style sheet has now: light or dark. */
  readColours() {
    this.colours = coloursOf(this.canvas);
  }

  /**
   * Draw a moment in a square of `size`; returns whether something will look different soon.
   *
   * `scene` has `nodes` and `edges`, `points` and, by key: `lit`, the times of messages over edges,
   * `noted`, the times of notes, `before`, the nodes before these; the keys that are `found` by the
   * filter, and that which is `selected`.
   */
  draw(scene, time, size, isMoving) {
    const { nodes, points, noted } = scene;
    Object.assign(this, { scene, time });
    const edges = scene.edges.filter(({ a, b }) => points.has(a) && points.has(b));
    clear(this.canvas, this.context, size);
    this.#drawEdges(edges);
    const fades = this.#drawLight(edges);
    if (isMoving) this.#drawRings();
    for (const node of nodes) this.#drawNode(node);
    this.#drawNames();
    return fades || [...noted.values()].some((one) => time - one < BRIGHT_S);
  }

  #drawEdges(edges) {
    const { context, colours } = this;
    for (const group of grouped(edges, (edge) => `${edge.state} ${this.#isChosen(edge)}`)) {
      const [{ state }] = group;
      const chosen = this.#isChosen(group[0]);
      context.setLineDash(state === "up" ? [] : [3, 4]);
      context.globalAlpha = chosen || state === "cut" ? 1 : 0.4;
      context.strokeStyle = state === "cut" ? colours.alarm : colours.soft;
      context.lineWidth = chosen ? 1.5 : 1;
      this.#stroke(group);
    }
    context.setLineDash([]);
  }

  #isChosen({ a, b }) {
    return a === this.scene.selected || b === this.scene.selected;
  }

  // Returns whether the light of an edge changes.
  #drawLight(edges) {
    const { context, time } = this;
    const { lit } = this.scene;
    const timesOf = ({ key }) => lit.get(key) ?? [];
    const lastOf = (edge) => timesOf(edge).findLast((t) => t <= time) ?? -Infinity;
    const lightOf = (edge) => brightness(time - lastOf(edge));
    context.strokeStyle = this.colours.out;
    for (const group of grouped(edges, (edge) => Math.round(lightOf(edge) * LEVELS))) {
      const light = Math.round(lightOf(group[0]) * LEVELS) / LEVELS;
      if (!light) continue;
      context.globalAlpha = light;
      context.lineWidth = 1 + 1.5 * light;
      this.#stroke(group);
    }
    return edges.some((edge) => lightOf(edge) > TINT || timesOf(edge).at(-1) > time);
  }

  #stroke(edges) {
    const { context } = this;
    const { points } = this.scene;
    context.beginPath();
    for (const { a, b } of edges) {
      context.moveTo(...points.get(a));
      context.lineTo(...points.get(b));
    }
    context.stroke();
  }

  // A ring around a node that has just got a note grows and fades.
  #drawRings() {
    const { context, colours, time } = this;
    const { nodes, points, noted } = this.scene;
    context.strokeStyle = colours.out;
    context.lineWidth = 2;
    const radius = radiusOf(true, nodes.length);
    for (const { key } of nodes) {
      const part = (time - noted.get(key)) / BRIGHT_S;
      if (!(part >= 0 && part < 1)) continue;
      context.globalAlpha = 1 - part;
      context.beginPath();
      context.arc(...points.get(key), radius * (1 + RING * part), 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #drawNode(node) {
    const { context, colours, time } = this;
    const { nodes, points, found, noted, before, selected } = this.scene;
    const note = noted.get(node.key) > time ? before[node.key]?.note : node.note;
    const chosen = node.key === selected;
    context.globalAlpha = found.has(node.key) ? 1 : DIM;
    context.beginPath();
    context.arc(...points.get(node.key), radiusOf(note, nodes.length), 0, 2 * Math.PI);
    context.fillStyle = !node.running ? colours.panel : note ? colours.out : colours.accent;
    context.strokeStyle = chosen ? colours.ink : node.running ? colours.panel : colours.soft;
    context.lineWidth = chosen ? 3 : 1.5;
    context.fill();
    context.stroke();
  }

  #drawNames() {
    const { context, colours } = this;
    const { nodes, points, found, selected } = this.scene;
    context.font = "11px Inter, system-ui, sans-serif";
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = colours.panel; // apart from the edges that it lies on
    context.fillStyle = colours.soft;
    for (const { key, name } of nodes) {
      if (nodes.length > NAMES_UP_TO && key !== selected) continue;
      const [x, y] = points.get(key);
      context.globalAlpha = found.has(key) ? 1 : DIM;
      context.strokeText(name.slice(0, MAX_NAME), x, y + NAME_BELOW);
      context.fillText(name.slice(0, MAX_NAME), x, y + NAME_BELOW);
    }
  }
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

// A node with a note is larger, for those who do not see that its colour is another.
function radiusOf(note, count) {
  return (count > 200 ? 3 : 5) * (note ? 1.3 : 1);
}

function brightness(age) {
  if (age > TINTED_S) return 0;
  if (age < BRIGHT_S) return 1 - (1 - TINT) * (age / BRIGHT_S);
  return TINT;
}

function clear(canvas, context, size) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(size * ratio)) {
    canvas.width = canvas.height = Math.round(size * ratio);
    canvas.style.width = canvas.style.height = `${size}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size, size);
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
