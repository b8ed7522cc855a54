// A table whose rows are walked with the arrow keys and selected. Owns its rows and which of them
// has the focus; what is in a cell comes from the columns. The table is one stop of the Tab key.

import { element, reconcile, set, setText } from "./dom.js";

export const NOTHING_FITS = "Nothing fits the filter.";

/** Rows that stand in the document at most; the caller cuts before, and says what it cut. */
export const MAX_ROWS = 400;

/**
 * A column: `title` (`quiet`: not to be seen), `text(item)`, and optionally `kind` (classes of the
 * cell), `remote` (the text is a remote's and is isolated), `hint(item)` (the whole text, as a
 * tooltip), `mark(item)` (a word for the style sheet) and `share(item)` (0 to 1, drawn as a bar).
 */
export class Rows {
  constructor(parent, { label, columns, key, onSelect, empty }) {
    Object.assign(this, { columns, key, onSelect, empty });
    this.selected = null;
    this.body = element("tbody");
    this.table = element(
      "table",
      { role: "grid", "aria-label": label },
      element("thead", {}, element("tr", {}, ...columns.map(headCell))),
      this.body,
    );
    this.note = element("p", { class: "empty", text: empty });
    parent.append(this.table, this.note);
    this.body.addEventListener("keydown", (event) => this.#walk(event));
    this.body.addEventListener("click", (event) => this.#choose(event.target.closest("tr")));
    this.body.addEventListener("focusin", (event) => this.#stopAt(event.target.closest("tr")));
  }

  /**
   * Show these items; `selected` is the key of the selected one, or null, and `query` the filter
   * that they fit.
   */
  show(items, selected = this.selected, query = "") {
    this.selected = selected;
    const shown = items.slice(0, MAX_ROWS);
    reconcile(
      this.body,
      shown,
      this.key,
      (item) => this.#create(item),
      (row, item) => this.#update(row, item),
    );
    this.note.hidden = shown.length > 0;
    setText(this.note, query ? NOTHING_FITS : this.empty);
    this.table.hidden = shown.length === 0;
    this.#keepStop();
  }

  #create(item) {
    const row = element("tr", { tabindex: -1, "data-key": this.key(item) });
    for (const { kind, remote } of this.columns) {
      const cell = element("td", { class: kind || null });
      if (remote) cell.append(element("bdi"));
      row.append(cell);
    }
    return row;
  }

  #update(row, item) {
    row.item = item;
    set(row, "aria-selected", this.key(item) === this.selected ? "true" : "false");
    this.columns.forEach((column, place) => fill(row.cells[place], column, item));
  }

  // One row has tabindex 0: the one that had the focus, else the selected one, else the first.
  #keepStop() {
    if (this.stop?.parentNode === this.body) return;
    const row = this.body.querySelector('[aria-selected="true"]') || this.body.firstElementChild;
    this.stop = null;
    if (row) this.#stopAt(row);
  }

  #stopAt(row) {
    if (!row || row === this.stop) return;
    if (this.stop) set(this.stop, "tabindex", -1);
    set(row, "tabindex", 0);
    this.stop = row;
  }

  #walk(event) {
    const row = event.target.closest("tr");
    const next = neighbour(row, event.key);
    if (next) next.focus();
    else if (event.key === "Enter" || event.key === " ") this.#choose(row);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(row) {
    if (!row) return;
    const key = this.key(row.item);
    this.selected = key === this.selected ? null : key;
    for (const other of this.body.rows) {
      set(
        other,
        "aria-selected",
        other.item && this.key(other.item) === this.selected ? "true" : "false",
      );
    }
    this.onSelect?.(this.selected === null ? null : row.item);
  }
}

function headCell({ title, kind, quiet }) {
  return element(
    "th",
    { scope: "col", class: kind || null },
    element("span", { text: title, class: quiet ? "sr" : null }),
  );
}

function fill(cell, column, item) {
  setText(column.remote ? cell.firstChild : cell, column.text(item));
  if (column.hint) set(cell, "title", column.hint(item));
  if (column.share) cell.style.setProperty("--share", column.share(item).toFixed(3));
  if (column.mark) set(cell, "data-mark", column.mark(item));
}

const PAGE = 10;

function neighbour(row, key) {
  switch (key) {
    case "ArrowDown":
      return row.nextElementSibling || row;
    case "ArrowUp":
      return row.previousElementSibling || row;
    case "Home":
      return row.parentNode.firstElementChild;
    case "End":
      return row.parentNode.lastElementChild;
    case "PageDown":
      return moved(row, PAGE, "nextElementSibling");
    case "PageUp":
      return moved(row, PAGE, "previousElementSibling");
    default:
      return null;
  }
}

function moved(row, steps, direction) {
  let at = row;
  for (let step = 0; step < steps && at[direction]; step += 1) at = at[direction];
  return at;
}

/** Show pairs of a name and a text as a list of details. */
export function showDetails(parent, pairs) {
  parent.hidden = pairs === null;
  if (pairs === null) return;
  let list = parent.firstElementChild;
  if (!list) parent.append((list = element("dl")));
  reconcile(list, pairs, ([name]) => name, createPair, updatePair);
}

function createPair([name]) {
  return element("div", {}, element("dt", { text: name }), element("dd", {}, element("bdi")));
}

function updatePair(node, [, text]) {
  setText(node.lastChild.firstChild, text);
}
