// Elements of the page. Owns how text gets into the document: by textContent and attributes only,
// so that what a remote has sent is never parsed as HTML. Holds no state but the widths of
// drawings.

const SVG = "http://www.w3.org/2000/svg";
const MAX_TEXT = 2000;

/** Make an HTML element. `attributes` may have `text`, which is set as text. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make an SVG element, in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children);
  return node;
}

/** Set an attribute, or the text, if it differs: an equal one costs no layout. */
export function set(node, name, value) {
  if (name === "text") return setText(node, value);
  if (name === "title" && value) value = cut(value);
  const text = value === null || value === undefined || value === false ? null : String(value);
  if (text === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== text) {
    node.setAttribute(name, text);
  }
}

/** Set the text of a node if it differs; what is longer than any text of the server is cut. */
export function setText(node, text) {
  const value = cut(String(text ?? ""));
  if (node.textContent !== value) node.textContent = value;
}

function cut(text) {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Text of a remote: isolated, so that its direction of writing changes nothing beside it. */
export function remoteText(text, className = "") {
  return element("bdi", { text, class: className || null });
}

/**
 * Make the children of `parent` those of `items`, in order, and keep nodes by their key, so that
 * focus, selection and scroll position stay. A child is `create(item)`, then `update(child, item)`.
 */
export function reconcile(parent, items, key, create, update) {
  const kept = parent.keyed || new Map();
  const focus = document.activeElement;
  const present = new Map(items.map((item) => [key(item), item])); // of two with one key the last
  for (const [name, child] of kept) if (!present.has(name)) child.remove();
  parent.keyed = new Map();
  let place = parent.firstChild;
  for (const [name, item] of present) {
    const child = kept.get(name) || create(item);
    parent.keyed.set(name, child);
    update(child, item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  // A node that is moved loses the focus.
  if (focus !== document.activeElement && parent.contains(focus))
    focus.focus({ preventScroll: true });
}

const widths = new WeakMap();
const observer = new ResizeObserver(noteWidths);
let whenResized = () => {};

/** Have `callback()` called when the width of a node has changed that `widthOf` was asked for. */
export function onResize(callback) {
  whenResized = callback;
}

/**
 * The width of what is in a node, in CSS pixels; zero while it is hidden. It is measured when it
 * changes: to ask the node itself while the page is drawn would cost a layout each time.
 */
export function widthOf(node) {
  if (!widths.has(node)) {
    const { paddingLeft, paddingRight } = getComputedStyle(node);
    widths.set(
      node,
      node.clientWidth && node.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight),
    );
    observer.observe(node);
  }
  return Math.floor(widths.get(node));
}

function noteWidths(sizes) {
  const changed = sizes.filter(
    ({ target, contentRect }) => widths.get(target) !== contentRect.width,
  );
  for (const { target, contentRect } of changed) widths.set(target, contentRect.width);
  if (changed.length) whenResized();
}
