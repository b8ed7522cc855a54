// Which moment is shown: the latest, or one of the last minutes. Owns the controls of time; the
// frames are the model's.

import { set, setText } from "./dom.js";
import { clock, duration } from "./format.js";

export class Playback {
  /** `onChange()` when another moment is to be shown. */
  constructor(model, onChange) {
    Object.assign(this, { model, onChange });
    this.moment = null; // Unix seconds, or null: live
    const byId = (id) => document.getElementById(id);
    this.pauseButton = byId("pause");
    this.slider = byId("moment");
    this.shown = byId("shown");
    this.forwardButton = byId("forward");
    this.pauseButton.addEventListener("click", () => this.toggle());
    byId("back").addEventListener("click", () => this.step(-1));
    this.forwardButton.addEventListener("click", () => this.step(1));
    this.slider.addEventListener("input", () => this.#slide(Number(this.slider.value)));
  }

  get live() {
    return this.moment === null;
  }

  get frame() {
    return this.live ? this.model.latest : this.model.frameAt(this.moment);
  }

  /** Pause at what is shown, or go on with the present. */
  toggle() {
    this.show(this.live ? (this.model.latest?.t ?? null) : null);
  }

  /** Show a moment in Unix seconds; null is live. */
  show(moment) {
    this.moment = moment;
    this.onChange();
  }

  /** Show the frame so many before or after the one that is shown. */
  step(frames) {
    const at = this.model.frames.indexOf(this.frame);
    if (at < 0) return;
    const place = Math.max(0, Math.min(this.model.frames.length - 1, at + frames));
    this.show(this.model.frames[place].t);
  }

  /** Show the state of the controls. */
  render() {
    const { frames } = this.model;
    const { frame } = this;
    if (!frame) return;
    const latest = frames.at(-1);
    const ago = latest.t - frame.t;
    const text = this.live
      ? `live ${clock(frame.t)}`
      : `${clock(frame.t)}${ago ? `, ${duration(ago)} ago` : ""}`;
    document.documentElement.classList.toggle("paused", !this.live);
    setText(this.pauseButton, this.live ? "Pause" : "Go live");
    set(this.slider, "max", frames.length - 1);
    this.slider.value = frames.indexOf(frame);
    set(this.slider, "aria-valuetext", text);
    this.slider.style.setProperty(
      "--done",
      frames.length > 1 ? frames.indexOf(frame) / (frames.length - 1) : 1,
    );
    setText(this.shown, text);
  }

  #slide(place) {
    const { frames } = this.model;
    this.show(place >= frames.length - 1 ? null : (frames[place]?.t ?? null));
  }
}
