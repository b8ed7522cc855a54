// Numbers, times and identities as people read them. Pure.

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];
const COUNT_UNITS = ["", "k", "M", "G"];

/** Bytes with a unit of 1,000: "1.2 MB". */
export function bytes(count) {
  return scaled(count, BYTE_UNITS, " ");
}

/** Bytes a second. */
export function byteRate(perSecond) {
  return `${bytes(perSecond)}/s`;
}

/** A count in few places: "12.3k". */
export function amount(count) {
  return scaled(count, COUNT_UNITS, "");
}

/** Things a second, such as messages. */
export function rate(perSecond) {
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : amount(Math.round(perSecond));
}

function scaled(count, units, space) {
  if (!Number.isFinite(count)) return "–";
  let value = count;
  let step = 0;
  while (Math.abs(value) >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  const places = step > 0 && Math.abs(value) < 99.95 ? 1 : 0;
  return value.toFixed(places) + space + units[step];
}

/** Seconds in one or two units: "3 min 5 s". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, seconds);
  if (whole < 1) return `${Math.round(whole * 1000)} ms`;
  if (whole < 10) return `${whole.toFixed(1)} s`;
  if (whole < 60) return `${Math.round(whole)} s`;
  if (whole < 600) return pair(whole, 60, "min", "s");
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return pair(whole / 60, 60, "h", "min");
  return pair(whole / 3600, 24, "d", "h");
}

/** An age, which is looked at rather than measured: whole seconds at least. */
export function age(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : duration(whole);
}

function pair(value, size, large, small) {
  const rest = Math.floor(value % size);
  return `${Math.floor(value / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

/** A moment in Unix seconds as the time of day: "14:02:31". */
export function clock(time) {
  const date = new Date(time * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
}

/** The same with milliseconds. */
export function clockExact(time) {
  const milliseconds = Math.floor((time - Math.floor(time)) * 1000);
  return `${clock(time)}.${String(milliseconds).padStart(3, "0")}`;
}

function twoDigits(number) {
  return String(number).padStart(2, "0");
}

/** The beginning of a node id. */
export function shortId(id, digits = 8) {
  return id && id.length > digits ? `${id.slice(0, digits)}…` : id || "–";
}

/** "1 peer", "3 peers". */
export function counted(count, singular, plural = `${singular}s`) {
  return `${count} ${count === 1 ? singular : plural}`;
}
