// Light, dark, or the colours of the system. Owns the choice, which the browser keeps.

import { set, setText } from "./dom.js";

const CHOICES = ["system", "light", "dark"];
const LABELS = { system: "◐ Auto", light: "○ Light", dark: "● Dark" };
const KEY = "p2p-theme";

export class Theme {
  constructor(button, onChange) {
    Object.assign(this, { button, onChange });
    this.#choose(kept());
    button.addEventListener("click", () => this.next());
  }

  /** Choose the next of the three. */
  next() {
    this.#choose(CHOICES[(CHOICES.indexOf(this.choice) + 1) % CHOICES.length]);
    keepChoice(this.choice);
    this.onChange();
  }

  #choose(choice) {
    this.choice = choice;
    set(document.documentElement, "data-theme", choice === "system" ? null : choice);
    setText(this.button, LABELS[choice]);
    set(this.button, "aria-label", `Colours: ${LABELS[choice].slice(2)}`);
  }
}

// A browser may refuse to keep anything; the choice then lasts as long as the page.
function kept() {
  try {
    const choice = localStorage.getItem(KEY);
    return CHOICES.includes(choice) ? choice : "system";
  } catch {
    return "system";
  }
}

function keepChoice(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // see above
  }
}
