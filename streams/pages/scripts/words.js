/** Numbers and times as people read them. */

const MONEY = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const WHOLE = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** A price in the shop's only currency unit. */
export const price = (value) => (value === null || value === undefined ? "" : `$${MONEY.format(value)}`);
export const whole = (value) => WHOLE.format(Math.round(value));
export const clock = (ms) => CLOCK.format(ms);
export const moment = (ms) => DAY.format(ms);

/** `0.3 s`, `12 s`, `4 min`, `3 h`, `12 days`. */
export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** Three significant digits, at most. */
export function figure(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return WHOLE.format(value);
  return Math.abs(value) >= 100 ? WHOLE.format(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** `+0.25`; the minus is as wide as the plus. */
export const signed = (value, digits) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(digits)}`;

/** `clicks_1h` as `clicks 1h`. */
export const spaced = (name) => name.replaceAll("_", " ");
