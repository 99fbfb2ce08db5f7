/** Small charts as SVG: numbers in, an element out that says in words what it shows. Colours come from the styles. */

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** The last values as a line, from 0 to their largest; the newest is at the right. */
export function line(values, { width = 120, height = 28 } = {}) {
  const most = Math.max(...values, 1e-9);
  const step = width / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`);
  const attributes = { viewBox: `0 0 ${width} ${height}`, class: "line", "aria-hidden": "true", preserveAspectRatio: "none" };
  return shape("svg", attributes, shape("polyline", { points: points.join(" ") }));
}

/**
 * Bars of a histogram whose buckets grow: each is as wide as the others, and named by its upper bound.
 * @param {{le_ms: number|null, count: number}[]} buckets Each with what is in it alone; null is "and more".
 */
export function histogram(buckets, { p50, p99 }) {
  const [width, height, foot] = [640, 220, 26];
  const most = Math.max(...buckets.map(({ count }) => count), 1);
  const step = width / buckets.length;
  const bars = buckets.map(({ le_ms: bound, count }, index) => {
    const tall = (count / most) * (height - foot - 18);
    const bar = shape("rect", { x: index * step + 1.5, y: height - foot - tall, width: step - 3, height: tall, rx: 2 });
    bar.append(shape("title", {}, `up to ${bound ?? "∞"} ms: ${count}`));
    return bar;
  });
  const every = Math.ceil(buckets.length / 9);
  const names = buckets.map(({ le_ms: bound }, index) =>
    index % every ? "" : shape("text", { x: (index + 0.5) * step, y: height - 8, "text-anchor": "middle" }, bound === null ? "∞" : bound >= 1000 ? `${bound / 1000} s` : String(bound)),
  );
  const marks = [["p50", p50], ["p99", p99]].filter(([, ms]) => typeof ms === "number").map(([name, ms]) => {
    const x = place(buckets, ms) * step;
    const late = x > width - 60;
    return shape("g", { class: "mark" }, shape("line", { x1: x, x2: x, y1: 4, y2: height - foot }), shape("text", { x: x + (late ? -5 : 5), y: 14, "text-anchor": late ? "end" : "start" }, name));
  }); // prettier-ignore
  const said = `Histogram of freshness: half of the lists within ${Math.round(p50)} ms, 99 % within ${Math.round(p99)} ms`;
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": said }, ...bars, ...names, ...marks);
}

/** Where a time falls among the buckets, in buckets from the left. */
function place(buckets, ms) {
  const index = buckets.findIndex(({ le_ms: bound }) => bound === null || ms <= bound);
  if (index < 0) return buckets.length;
  const [low, high] = [index ? buckets[index - 1].le_ms : 0, buckets[index].le_ms];
  return index + (high === null ? 0.5 : (ms - low) / (high - low));
}
