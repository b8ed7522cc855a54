// The charts of the last minutes: traffic, messages, CPU, threads. Owns the drawings and their
// table; the numbers come from the frames of the history. What goes out is drawn downward.

import { element, reconcile, set, setText, svg, widthOf } from "./dom.js";
import { amount, byteRate, clock, rate } from "./format.js";

const HEIGHT = 76;
/** Above the drawing is the number of the scale. */
const TOP = 13;
/** The table of the charts has one row for so many seconds. */
const TABLE_STEP_S = 10;

const CHARTS = [
  {
    title: "Traffic",
    unit: byteRate,
    lines: [
      ["in", "received", (f) => f.point.bytes_in_per_s],
      ["out", "sent", (f) => f.point.bytes_out_per_s],
    ],
    least: 1000,
  },
  {
    title: "Messages",
    unit: (value) => `${rate(value)}/s`,
    lines: [
      ["in", "received", (f) => f.point.messages_in_per_s],
      ["out", "sent", (f) => f.point.messages_out_per_s],
    ],
    least: 10,
  },
  {
    title: "CPU",
    unit: (value) => `${value.toFixed(value < 9.95 ? 1 : 0)} %`,
    lines: [["one", "of one core", (f) => f.point.cpu * 100]],
    least: 10,
  },
  {
    title: "Threads",
    unit: amount,
    lines: [["one", "threads", (f) => f.point.threads]],
    least: 10,
  },
];

export class Charts {
  constructor(section, onSeek) {
    this.onSeek = onSeek;
    this.place = section.querySelector(".charts");
    this.cards = CHARTS.map((chart) => this.#card(chart));
    this.place.append(...this.cards.map((card) => card.root));
    this.details = section.querySelector(".as-table");
    this.body = element("tbody");
    const heads = [
      "Time",
      ...CHARTS.flatMap(({ title, lines }) => lines.map(([, name]) => `${title}, ${name}`)),
    ];
    this.details
      .querySelector(".scroll")
      .append(
        element(
          "table",
          {},
          element("caption", { class: "sr", text: "Charts of the last minutes" }),
          element(
            "thead",
            {},
            element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text }))),
          ),
          this.body,
        ),
      );
    this.details.addEventListener("toggle", () => this.#table());
  }

  render(history, frame) {
    this.history = history;
    for (const card of this.cards) drawCard(card, history, frame);
    this.#table();
  }

  #card(chart) {
    const values = chart.lines.map(([kind]) => element("span", { class: `value ${kind}` }));
    const areas = chart.lines.map(([kind]) => svg("path", { class: `area ${kind}` }));
    const lines = chart.lines.map(([kind]) => svg("path", { class: `line ${kind}` }));
    const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT });
    const base = svg("line", { class: "base", x1: 0, x2: "100%" });
    const top = svg("text", { class: "top", x: 2, y: 10 });
    const drawing = svg(
      "svg",
      { height: HEIGHT, role: "img" },
      base,
      ...areas,
      ...lines,
      cursor,
      top,
    );
    const root = element(
      "figure",
      { class: "panel chart" },
      element("figcaption", {}, element("span", { class: "title", text: chart.title }), ...values),
      drawing,
    );
    drawing.addEventListener("click", (event) => this.#seek(drawing, event));
    return { chart, root, values, areas, lines, base, cursor, top, drawing };
  }

  #seek(drawing, event) {
    const { left, width } = drawing.getBoundingClientRect();
    const { start, end } = range(this.history);
    this.onSeek(start + ((event.clientX - left) / width) * (end - start));
  }

  #table() {
    if (!this.details.open || !this.history) return;
    const rows = [];
    for (const frame of this.history) {
      if (!rows.length || frame.t - rows.at(-1).t >= TABLE_STEP_S) rows.push(frame);
    }
    reconcile(
      this.body,
      rows.reverse(),
      (frame) => frame.t,
      tableRow,
      () => {},
    );
  }
}

function tableRow(frame) {
  const cells = CHARTS.flatMap(({ unit, lines }) =>
    lines.map(([, , value]) => element("td", { text: unit(value(frame)) })),
  );
  return element("tr", {}, element("th", { scope: "row", text: clock(frame.t) }), ...cells);
}

function range(history) {
  const start = history[0].t;
  return { start, end: Math.max(start + 1, history.at(-1).t) };
}

function drawCard({ chart, values, areas, lines, base, cursor, top, drawing }, history, frame) {
  const width = widthOf(drawing.parentNode);
  if (width <= 0) return;
  const { start, end } = range(history);
  const x = (time) => ((time - start) / (end - start)) * width;
  const floor = chart.lines.length > 1 ? (HEIGHT + TOP) / 2 : HEIGHT - 1;
  const most = niceMost(
    Math.max(chart.least, ...chart.lines.map(([, , value]) => highest(history, value))),
  );
  set(drawing, "width", width);
  set(drawing, "viewBox", `0 0 ${width} ${HEIGHT}`);
  chart.lines.forEach(([, name, value], place) => {
    const unit = ((place ? -1 : 1) * (floor - TOP)) / most;
    const path = outline(history, x, (one) => floor - value(one) * unit);
    set(lines[place], "d", path);
    set(areas[place], "d", `${path}L${x(end).toFixed(1)} ${floor}L0 ${floor}Z`);
    setText(values[place], chart.unit(value(frame)));
    set(values[place], "title", name);
  });
  setText(top, chart.unit(most));
  set(base, "y1", floor);
  set(base, "y2", floor);
  set(cursor, "x1", x(frame.t).toFixed(1));
  set(cursor, "x2", x(frame.t).toFixed(1));
  set(cursor, "visibility", frame === history.at(-1) ? "hidden" : "visible");
  set(drawing, "aria-label", spoken(chart, frame, most));
}

function highest(history, value) {
  return history.reduce((most, frame) => Math.max(most, value(frame) || 0), 0);
}

function outline(history, x, y) {
  return history
    .map((frame, place) => `${place ? "L" : "M"}${x(frame.t).toFixed(1)} ${y(frame).toFixed(1)}`)
    .join("");
}

/** The next of 1, 2, 5, 10, 20, ... */
export function niceMost(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((one) => one * power >= value);
  return step * power;
}

function spoken({ title, lines, unit }, frame, most) {
  const values = lines.map(([, name, value]) => `${name} ${unit(value(frame))}`);
  return `${title}: ${values.join(", ")}; the scale ends at ${unit(most)}`;
}
