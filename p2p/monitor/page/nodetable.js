// The panel of the node table: a square for each node by bucket, and the nodes as a table. A square
// is the fuller the fresher the node's last answer is. Owns which node is selected.

import { element, reconcile, set, setText, svg } from "./dom.js";
import { age, counted, shortId } from "./format.js";
import { entries } from "./model.js";
import { MAX_ROWS, Rows } from "./rows.js";

/** Nodes of a bucket; Kademlia's k. */
const BUCKET_SIZE = 16;
const CELL = 17;
const LEFT = 34;
const WIDTH = LEFT + BUCKET_SIZE * CELL + 34;
const TOP = 18;
const LEAST_ROWS = 8;
/** Answers within so many seconds are drawn alike, the freshest first. */
const FRESH_S = [60, 600, 3600];

const COLUMNS = [
  { title: "Bucket", kind: "number", text: (n) => n.bucket },
  { title: "By", kind: "cap", text: (n) => n.protocol },
  { title: "Node", kind: "id mono", text: (n) => shortId(n.id), hint: (n) => n.id },
  { title: "State", kind: "state", text: stateOf, mark: stateOf },
  {
    title: "In table",
    kind: "number age",
    text: (n) => (n.added_t ? age(n.now - n.added_t) : "–"),
  },
  {
    title: "Answered ago",
    kind: "number age",
    text: (n) => (n.answered_t ? age(n.now - n.answered_t) : "–"),
  },
  { title: "Checks", kind: "number", text: (n) => n.checks ?? "–" },
  { title: "Address", kind: "address mono", remote: true, text: (n) => n.addr },
];

export class NodeTable {
  constructor(section) {
    this.count = section.querySelector(".count");
    this.figure = section.querySelector(".buckets");
    this.grids = element("div", { class: "grids" });
    this.figure.append(
      this.grids,
      element("figcaption", {
        text: "Full: answered within a minute; paler: ten minutes, an hour, more. Hollow: unproven",
      }),
    );
    this.selected = null;
    this.rows = new Rows(section.querySelector(".list"), {
      label: "Nodes by bucket",
      columns: COLUMNS,
      key: (node) => node.key,
      empty: "The table has no node.",
      onSelect: (node) => {
        this.selected = node?.key ?? null;
        this.#drawGrids();
      },
    });
    this.figure.addEventListener("click", (event) => {
      const key = event.target.dataset?.key;
      if (key) {
        this.selected = key === this.selected ? null : key;
        this.#drawGrids();
        this.rows.show(this.shown, this.selected);
      }
    });
  }

  render(scene) {
    this.scene = scene;
    this.shown = NodeTable.shown(scene);
    const all = entries(scene.frame.state, "nodes");
    const waiting = all.filter((node) => node.replacement).length;
    const parts = [counted(all.length - waiting, "node"), counted(waiting, "replacement")];
    if (this.shown.length < all.length)
      parts.push(`${counted(this.shown.length, "fits", "fit")} the filter`);
    if (this.shown.length > MAX_ROWS) parts.push(`the nearest ${MAX_ROWS} are listed`);
    setText(this.count, parts.join(", "));
    this.rows.show(this.shown, this.selected, scene.query);
    this.#drawGrids();
  }

  /** The nodes that fit the filter, nearest first, replacements last in their bucket. */
  static shown({ frame, matches }) {
    return entries(frame.state, "nodes")
      .filter((node) => matches(node.id, node.addr, node.protocol, String(node.bucket)))
      .map((node) => ({ ...node, now: frame.t }))
      .sort(
        (a, b) => a.bucket - b.bucket || a.replacement - b.replacement || (a.key < b.key ? -1 : 1),
      );
  }

  #drawGrids() {
    const { frame, model } = this.scene;
    const all = entries(frame.state, "nodes");
    const protocols = [...new Set(all.map((node) => node.protocol))].sort();
    const range = rangeOf(all, model.hello.buckets ?? undefined);
    const fitting = new Set(this.shown.map((node) => node.key));
    reconcile(
      this.grids,
      protocols.length ? protocols : ["v4"],
      (protocol) => protocol,
      createGrid,
      (grid, protocol) => {
        const nodes = all.filter((node) => node.protocol === protocol);
        updateGrid(grid, {
          protocol,
          nodes,
          range,
          now: frame.t,
          selected: this.selected,
          fitting,
        });
      },
    );
  }
}

// The buckets that are drawn: from the nearest that has a node, and some at least.
function rangeOf(nodes, { first, last } = { first: 240, last: 256 }) {
  const nearest = nodes.reduce(
    (least, node) => Math.min(least, node.bucket),
    last - LEAST_ROWS + 1,
  );
  return { first: Math.max(first, nearest), last, lowest: first };
}

function stateOf(node) {
  if (node.replacement) return "replacement";
  return node.live ? "live" : "unproven";
}

function createGrid(protocol) {
  return svg(
    "svg",
    { role: "img", class: "grid" },
    svg("text", { class: "mark", x: LEFT, y: 10, text: `discovery ${protocol}` }),
    svg("g"),
  );
}

function updateGrid(grid, { protocol, nodes, range, now, selected, fitting }) {
  const height = TOP + (range.last - range.first + 1) * CELL;
  set(grid, "viewBox", `0 0 ${WIDTH} ${height}`);
  set(
    grid,
    "aria-label",
    `Buckets of discovery ${protocol} with ${counted(nodes.length, "node")}. The table lists them.`,
  );
  const buckets = [];
  for (let distance = range.last; distance >= range.first; distance -= 1) {
    const within = nodes.filter((node) => node.bucket === distance);
    buckets.push({
      distance,
      y: TOP + (range.last - distance) * CELL,
      nearest: distance === range.lowest,
      within,
    });
  }
  reconcile(
    grid.lastChild,
    buckets,
    (bucket) => bucket.distance,
    createBucket,
    (node, bucket) => updateBucket(node, bucket, { now, selected, fitting }),
  );
}

function createBucket({ distance, y, nearest }) {
  return svg(
    "g",
    { transform: `translate(0 ${y})` },
    svg("text", {
      class: "mark end",
      x: LEFT - 8,
      y: 11,
      text: nearest ? `≤${distance}` : distance,
    }),
    svg("g"),
    svg("text", { class: "mark", x: LEFT + BUCKET_SIZE * CELL + 5, y: 11 }),
  );
}

function updateBucket(group, { within }, { now, selected, fitting }) {
  const [, cells, more] = group.childNodes;
  const table = within
    .filter((node) => !node.replacement)
    .sort((a, b) => (a.added_t || 0) - (b.added_t || 0));
  const places = Array.from({ length: BUCKET_SIZE }, (_, place) => ({ place, node: table[place] }));
  reconcile(
    cells,
    places,
    ({ place }) => place,
    createCell,
    (cell, { node }) => updateCell(cell, node, { now, selected, fitting }),
  );
  const waiting = within.length - table.length;
  setText(more, waiting ? `+${waiting}` : "");
}

function createCell({ place }) {
  return svg(
    "rect",
    { x: LEFT + place * CELL + 1.5, y: 1.5, width: CELL - 4, height: CELL - 4, rx: 3 },
    svg("title"),
  );
}

function updateCell(cell, node, { now, selected, fitting }) {
  set(cell, "class", node ? cellClass(node, selected, fitting) : "none");
  set(cell, "data-key", node?.key);
  set(cell, "data-age", node ? ageClass(node, now) : null);
  setText(cell.firstChild, node ? `${shortId(node.id, 16)} ${node.addr}` : "");
}

function cellClass(node, selected, fitting) {
  const names = [node.live ? "live" : "unproven"];
  if (node.key === selected) names.push("selected");
  if (!fitting.has(node.key)) names.push("dim");
  return names.join(" ");
}

function ageClass(node, now) {
  if (!node.answered_t) return FRESH_S.length;
  const place = FRESH_S.findIndex((limit) => now - node.answered_t < limit);
  return place < 0 ? FRESH_S.length : place;
}
