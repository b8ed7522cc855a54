// Elements of the page. Owns how text gets into the document: by textContent and attributes only,
// so that what a remote has sent is never parsed as HTML. Holds no state.

const SVG = "http://www.w3.org/2000/svg";

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
  const text = value === null || value === undefined || value === false ? null : String(value);
  if (text === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== text) {
    node.setAttribute(name, text);
  }
}

/** Set the text of a node if it differs. */
export function setText(node, text) {
  const value = String(text ?? "");
  if (node.textContent !== value) node.textContent = value;
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
  const kept = (parent.keyed ??= new Map());
  const present = new Set();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    if (present.has(name)) continue; // two of one key: the first stands
    present.add(name);
    let child = kept.get(name);
    if (!child) kept.set(name, (child = create(item)));
    update(child, item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  for (const [name, child] of kept) {
    if (present.has(name)) continue;
    child.remove();
    kept.delete(name);
  }
}

/** A size of the drawing's place in CSS pixels; zero while it is hidden. */
export function widthOf(node) {
  return Math.floor(node.clientWidth);
}
