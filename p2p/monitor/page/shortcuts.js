// Keys that work anywhere on the page, and the dialog that lists them. Owns neither what they do.

import { element } from "./dom.js";

export class Shortcuts {
  /** `keys` is a list of [key, words, action]; a key without an action is only listed. */
  constructor(dialog, button, keys) {
    this.dialog = dialog;
    this.actions = new Map(
      keys.filter(([, , action]) => action).map(([key, , action]) => [key, action]),
    );
    const pairs = keys.map(([key, words]) =>
      element(
        "div",
        {},
        element("dt", {}, element("kbd", { text: key === " " ? "Space" : key })),
        element("dd", { text: words }),
      ),
    );
    dialog.querySelector("dl").append(...pairs);
    dialog.querySelector("button").addEventListener("click", () => dialog.close());
    button.addEventListener("click", () => dialog.showModal());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open) return;
    if (event.key !== "Escape" && isTyped(event)) return;
    const action = this.actions.get(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  }
}

// A key that the element with the focus uses itself.
function isTyped({ target, key }) {
  if (target.matches("input[type=search], textarea")) return true;
  return key === " " && target.matches("button, a, summary, input, select");
}
