// The panel of lookups: the queries of one lookup as they come nearer to the target, drawn and as a
// table. Owns which lookup is selected; without a choice it is the latest.

import { reconcile, set, setText, svg, widthOf } from "./dom.js";
import { clock, counted, duration, shortId } from "./format.js";
import { entries } from "./model.js";
import { Rows } from "./rows.js";

const HEIGHT = 300;
const LEFT = 36;
const RIGHT = 16;
const TOP = 20;
const BOTTOM = 30;
/** Marks of the scale at most. */
const MARKS = 6;

const LOOKUP_COLUMNS = [
  { title: "Time", kind: "time", text: (l) => clock(l.begun_t) },
  { title: "Target", kind: "id mono", text: (l) => shortId(l.target, 12), hint: (l) => l.target },
  { title: "By", kind: "cap", text: (l) => l.protocol },
  { title: "Queries", kind: "number", text: (l) => l.hops.length },
  { title: "Found", kind: "number found", text: (l) => l.found },
  {
    title: "Took",
    kind: "number",
    text: (l) => (l.ended_t ? duration(l.ended_t - l.begun_t) : "runs"),
  },
];

const STEP_COLUMNS = [
  { title: "Query", kind: "number", text: (h) => h.n + 1 },
  { title: "Node", kind: "id mono", text: (h) => shortId(h.id), hint: (h) => h.id },
  { title: "Distance", kind: "number", text: (h) => h.distance },
  { title: "Answer", kind: "outcome", text: (h) => h.outcome, mark: (h) => h.outcome },
  { title: "Nodes", kind: "number", text: (h) => h.neighbors ?? "–" },
  {
    title: "Named by",
    kind: "id mono from",
    text: (h) => (h.from ? shortId(h.from) : "our table"),
    hint: (h) => h.from,
  },
  {
    title: "Took",
    kind: "number took",
    text: (h) => (h.answered_t ? duration(h.answered_t - h.asked_t) : "–"),
  },
];

export class Lookups {
  constructor(section) {
    this.count = section.querySelector(".count");
    this.figure = section.querySelector(".hops");
    this.selected = null;
    this.step = null;
    this.lookups = new Rows(section.querySelector(".list"), {
      label: "Lookups",
      columns: LOOKUP_COLUMNS,
      key: (lookup) => lookup.key,
      empty: "No lookup has run.",
      onSelect: (lookup) => {
        this.selected = lookup?.key ?? null;
        this.#showOne();
      },
    });
    this.steps = new Rows(section.querySelector(".steps"), {
      label: "Queries of the lookup",
      columns: STEP_COLUMNS,
      key: (hop) => hop.key,
      empty: "",
      onSelect: (hop) => {
        this.step = hop?.key ?? null;
        this.#showOne();
      },
    });
    this.links = svg("g");
    this.dots = svg("g");
    this.scale = svg("g");
    this.drawing = svg("svg", { role: "img", height: HEIGHT }, this.scale, this.links, this.dots);
    this.caption = document.createElement("figcaption");
    this.figure.append(this.drawing, this.caption);
  }

  render(scene) {
    this.shown = Lookups.shown(scene);
    const running = this.shown.filter((lookup) => !lookup.ended_t).length;
    setText(this.count, `the latest ${this.shown.length}${running ? `, ${running} running` : ""}`);
    this.lookups.show(this.shown, this.selected, scene.query);
    this.#showOne();
  }

  /** The lookups that fit the filter, newest first, each with its queries in order. */
  static shown({ frame, matches }) {
    const hops = byLookup(entries(frame.state, "hops"));
    return entries(frame.state, "lookups")
      .map((lookup) => ({
        ...lookup,
        hops: (hops.get(lookup.key) || []).sort((a, b) => a.n - b.n),
      }))
      .filter((lookup) =>
        matches(
          lookup.target,
          lookup.protocol,
          ...lookup.hops.flatMap((hop) => [hop.id, hop.addr]),
        ),
      )
      .sort((a, b) => b.begun_t - a.begun_t || (a.key < b.key ? -1 : 1));
  }

  #showOne() {
    const lookup = this.shown.find((one) => one.key === this.selected) || this.shown[0];
    const hops = lookup?.hops || [];
    this.steps.show(hops, this.step);
    this.drawing.toggleAttribute("hidden", !lookup);
    setText(
      this.caption,
      lookup
        ? `Queries in order, by distance to ${shortId(lookup.target, 12)}: nearer is lower. ` +
            "A line leads from the node that named another."
        : "",
    );
    const width = widthOf(this.figure);
    if (lookup && width) this.#draw(lookup, hops, width);
  }

  #draw(lookup, hops, width) {
    const scale = scaleOf(hops, width);
    set(this.drawing, "width", width);
    set(this.drawing, "viewBox", `0 0 ${width} ${HEIGHT}`);
    set(
      this.drawing,
      "aria-label",
      `${counted(hops.length, "query", "queries")} of the lookup of ${shortId(lookup.target)}, ` +
        `from distance ${scale.far} to ${scale.near}. The table lists them.`,
    );
    const byId = new Map(hops.map((hop) => [hop.id, hop]));
    const links = hops.filter((hop) => byId.has(hop.from)).map((hop) => [byId.get(hop.from), hop]);
    reconcile(this.scale, marksOf(scale, width), (mark) => mark.distance, createMark, placeMark);
    reconcile(
      this.links,
      links,
      ([, hop]) => hop.key,
      () => svg("path", { class: "hop" }),
      (path, pair) => placeLink(path, pair, scale),
    );
    reconcile(
      this.dots,
      hops,
      (hop) => hop.key,
      createDot,
      (dot, hop) => placeDot(dot, hop, scale, hop.key === this.step),
    );
  }
}

function byLookup(hops) {
  const groups = new Map();
  for (const hop of hops) {
    if (!groups.has(hop.lookup)) groups.set(hop.lookup, []);
    groups.get(hop.lookup).push(hop);
  }
  return groups;
}

function scaleOf(hops, width) {
  const distances = hops.map((hop) => hop.distance);
  const far = Math.max(0, ...distances);
  const near = Math.min(far, ...distances);
  const step = (width - LEFT - RIGHT) / Math.max(1, hops.length - 1);
  const unit = (HEIGHT - TOP - BOTTOM) / Math.max(1, far - near);
  return {
    far,
    near,
    x: (hop) => LEFT + 8 + hop.n * Math.min(step, 48) * 0.97,
    y: (distance) => TOP + (far - distance) * unit,
  };
}

function marksOf({ far, near, y }, width) {
  const step = Math.max(1, Math.ceil((far - near) / MARKS));
  const marks = [];
  for (let distance = far; distance >= near; distance -= step)
    marks.push({ distance, y: y(distance), width });
  return marks;
}

function createMark({ distance }) {
  return svg(
    "g",
    {},
    svg("line", { class: "base", x1: LEFT }),
    svg("text", { class: "mark end", x: LEFT - 8, dy: "0.35em", text: distance }),
  );
}

function placeMark(node, { y, width }) {
  set(node, "transform", `translate(0 ${y.toFixed(1)})`);
  set(node.firstChild, "x2", width - RIGHT / 2);
}

function placeLink(path, [from, to], { x, y }) {
  const middle = (x(from) + x(to)) / 2;
  const start = point(x(from), y(from.distance));
  const end = point(x(to), y(to.distance));
  set(
    path,
    "d",
    `M${start}C${point(middle, y(from.distance))} ${point(middle, y(to.distance))} ${end}`,
  );
}

function point(x, y) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

function createDot() {
  return svg(
    "g",
    {},
    svg("title"),
    svg("circle", { r: 5 }),
    svg("path", { class: "cross", d: "M-3-3 3 3M3-3-3 3" }),
  );
}

function placeDot(dot, hop, { x, y }, selected) {
  set(dot, "class", `query ${hop.outcome}${selected ? " selected" : ""}`);
  set(dot, "transform", `translate(${x(hop).toFixed(1)} ${y(hop.distance).toFixed(1)})`);
  setText(dot.firstChild, `${shortId(hop.id, 16)} ${hop.addr}: ${hop.outcome}`);
}
