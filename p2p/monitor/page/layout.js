// Places of the nodes of a network, on a circle or by springs. Pure: a network has the same places
// in each browser that opens it, since nothing is drawn by lot and the number of steps is fixed.
// When it changes, its nodes stay near the places that they have.

const FULL_TURN = 2 * Math.PI;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
const STEPS = 220;
/** Steps after a change of a network that is drawn already. */
const STEPS_OF_CHANGE = 70;
/** Nodes further apart than so many ideal lengths do not push each other. */
const REACH = 3;

/** Places of `count` nodes on a circle, in a square of -1 to 1, as [x, y]. */
export function circle(count) {
  return Array.from({ length: count }, (_, place) => {
    const angle = (place / Math.max(1, count)) * FULL_TURN - FULL_TURN / 4;
    return [Math.cos(angle), Math.sin(angle)];
  });
}

/**
 * Springs: edges pull, nodes near each other push (Fruchterman and Reingold, 1991). `edges` are
 * pairs of places in the list of nodes. Yields after each step, so that a caller can spread the
 * work over many frames; the result is `places` at the end. `known` has the places of nodes that
 * are drawn already, by their place in the list; the others begin beside their neighbours.
 */
export class Springs {
  constructor(count, edges, known = new Map()) {
    this.edges = edges;
    this.ideal = 1.4 / Math.sqrt(Math.max(1, count));
    const isChange = known.size > count / 2;
    const near = isChange ? besideNeighbours(edges, known) : new Map();
    this.places = Array.from({ length: count }, (_, n) => [...(near.get(n) || spiral(n, count))]);
    this.step = isChange ? STEPS - STEPS_OF_CHANGE : 0;
  }

  get done() {
    return this.step >= STEPS;
  }

  /** Move all nodes once. */
  advance() {
    const { places, edges, ideal } = this;
    const moves = places.map(() => [0, 0]);
    push(places, moves, ideal);
    for (const [a, b] of edges) pull(places, moves, a, b, ideal);
    const longest = 0.12 * (1 - this.step / STEPS) + 0.001;
    places.forEach((place, n) => move(place, moves[n], longest));
    this.step += 1;
  }

  /** The places, fitted into a square of -1 to 1. */
  fitted() {
    const [left, right] = extent(this.places.map(([x]) => x));
    const [top, bottom] = extent(this.places.map(([, y]) => y));
    const half = Math.max(right - left, bottom - top, 1e-9) / 2;
    const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
    return this.places.map(([x, y]) => [(x - middleX) / half, (y - middleY) / half]);
  }
}

function extent(values) {
  return values.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
}

// The known places, and for a new node one that is near a neighbour's, not on it.
function besideNeighbours(edges, known) {
  const places = new Map(known);
  for (const [a, b] of [...edges, ...edges.map(([a, b]) => [b, a])]) {
    if (places.has(a) || !known.has(b)) continue;
    const [x, y] = known.get(b);
    const angle = a * GOLDEN_ANGLE;
    places.set(a, [x + 0.05 * Math.cos(angle), y + 0.05 * Math.sin(angle)]);
  }
  return places;
}

function spiral(n, count) {
  const radius = Math.sqrt((n + 0.5) / count);
  return [radius * Math.cos(n * GOLDEN_ANGLE), radius * Math.sin(n * GOLDEN_ANGLE)];
}

// Push nodes apart that lie in the same or in neighbouring cells of a grid.
function push(places, moves, ideal) {
  const size = REACH * ideal;
  const cells = new Map();
  const cellOf = (n, dx, dy) =>
    `${Math.floor(places[n][0] / size) + dx} ${Math.floor(places[n][1] / size) + dy}`;
  places.forEach((_, n) => {
    const cell = cellOf(n, 0, 0);
    if (cells.has(cell)) cells.get(cell).push(n);
    else cells.set(cell, [n]);
  });
  places.forEach((_, n) => {
    for (let dx = -1; dx <= 1; dx += 1) {
      for (let dy = -1; dy <= 1; dy += 1) {
        for (const other of cells.get(cellOf(n, dx, dy)) || [])
          if (other > n) repel(places, moves, n, other, ideal);
      }
    }
  });
  // Parts of the network that are apart stay in sight.
  places.forEach(([x, y], n) => {
    moves[n][0] -= 0.02 * x;
    moves[n][1] -= 0.02 * y;
  });
}

function repel(places, moves, a, b, ideal) {
  const dx = places[a][0] - places[b][0];
  const dy = places[a][1] - places[b][1];
  const square = Math.max(1e-6, dx * dx + dy * dy);
  if (square > (REACH * ideal) ** 2) return;
  const force = (ideal * ideal) / square;
  moves[a][0] += dx * force;
  moves[a][1] += dy * force;
  moves[b][0] -= dx * force;
  moves[b][1] -= dy * force;
}

function pull(places, moves, a, b, ideal) {
  const dx = places[a][0] - places[b][0];
  const dy = places[a][1] - places[b][1];
  const force = Math.sqrt(dx * dx + dy * dy) / ideal / 4;
  moves[a][0] -= dx * force;
  moves[a][1] -= dy * force;
  moves[b][0] += dx * force;
  moves[b][1] += dy * force;
}

function move(place, [dx, dy], longest) {
  const length = Math.hypot(dx, dy) || 1;
  const factor = Math.min(length, longest) / length;
  place[0] += dx * factor;
  place[1] += dy * factor;
}
