// Which moment is shown: the latest, or one of the last minutes. Owns the controls of time, and the
// recording that stands still while the page is paused; the frames are the model's.

import { set, setText } from "./dom.js";
import { clock, duration } from "./format.js";

export class Playback {
  /** `onChange()` when another moment is to be shown. */
  constructor(model, onChange) {
    Object.assign(this, { present: model, onChange });
    this.moment = null; // Unix seconds, or null: live
    this.recording = null; // a copy of the model while it is paused
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

  /** What is shown is a frame of this model. */
  get model() {
    return this.recording ?? this.present;
  }

  get frame() {
    return this.live ? this.model.latest : this.model.frameAt(this.moment);
  }

  /** Pause at what is shown, or go on with the present. */
  toggle() {
    this.show(this.live ? (this.model.latest?.t ?? null) : null);
  }

  /** Show a moment in Unix seconds; null is live. It stays, however long the page is paused. */
  show(moment) {
    this.moment = moment;
    if (moment === null) this.recording = null;
    else if (!this.recording || this.present.covers(moment)) this.recording = this.present.copy();
    this.onChange();
  }

  /** Show the frame so many before or after the one that is shown. */
  step(count) {
    const { frame, present } = this;
    if (!frame) return;
    const { frames } = present.covers(frame.t) ? present : this.model;
    const at = frames.findLastIndex((one) => one.t <= frame.t);
    this.show(frames[Math.max(0, Math.min(frames.length - 1, at + count))].t);
  }

  /** Show the state of the controls. */
  render() {
    const { frames } = this.model;
    const { frame } = this;
    if (!frame) return;
    const ago = (this.present.latest ?? frame).t - frame.t;
    const text = this.live
      ? `live ${clock(frame.t)}`
      : `${clock(frame.t)}${ago > 0 ? `, ${duration(ago)} ago` : ""}`;
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
