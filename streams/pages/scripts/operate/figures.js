/** The document of /v1/operations in; gauges, tables and charts on the page out. */

import { bar, el, fill } from "../dom.js";
import { figure, moment, span, whole } from "../words.js";
import { histogram, line } from "./charts.js";

const KEPT = 60;
/** Topics that shoppers' events come on; what the flow makes of them is beside. */
const INPUTS = ["clicks", "carts", "reviews", "impressions"];

export class Figures {
  #rates = new Map();

  show({ topics, freshness, workers, models, releases, dead_letters: deadLetters }) {
    this.#remember(topics);
    const inputs = topics.filter(({ topic }) => INPUTS.includes(topic));
    const sum = (name) => inputs.reduce((so, each) => so + (each[name] ?? 0), 0);
    fill(
      document.getElementById("gauges"),
      gauge("Events a second", figure(Number(sum("rate_s").toFixed(1)))),
      gauge("Waiting", whole(sum("lag"))),
      gauge("Fresh, half", milliseconds(freshness.p50_ms)),
      gauge("Fresh, 99 %", milliseconds(freshness.p99_ms)),
      gauge("Workers ready", whole(workers.length)),
      gauge("Dead letters", whole(deadLetters.count)),
    );
    fill(document.getElementById("topics"), this.#topics(topics));
    fill(document.getElementById("freshness"), ...freshnessChart(freshness));
    fill(document.getElementById("workers"), workersTable(workers));
    fill(document.getElementById("models"), modelsTable(models, releases));
  }

  #remember(topics) {
    for (const { topic, rate_s: rate } of topics) {
      this.#rates.set(topic, [...(this.#rates.get(topic) ?? []), rate ?? 0].slice(-KEPT));
    }
  }

  #topics(topics) {
    const most = Math.max(...topics.map(({ lag }) => lag ?? 0), 1);
    const rows = topics.map(({ topic, records, lag, rate_s: rate }) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, topic),
        el("td.figure", {}, whole(records)),
        el("td.figure", {}, figure(Number((rate ?? 0).toFixed(1)))),
        el("td.trend", {}, line(this.#rates.get(topic))),
        el("td.trend", {}, lag !== null && [el("span.figure", {}, whole(lag)), bar(lag / most, lag ? "strong" : "")]),
      ),
    );
    return table(["Topic", "Records", "A second", "Last minute", "Waiting"], rows);
  }
}

const gauge = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
const milliseconds = (ms) => (typeof ms === "number" ? span(ms) : "none yet");

function freshnessChart({ buckets, p50_ms: p50, p99_ms: p99 }) {
  const [first, last] = [buckets.findIndex(({ count }) => count), buckets.findLastIndex(({ count }) => count)];
  if (first < 0) return [el("p.quiet", {}, "No list was written in the last minute.")];
  return [histogram(buckets.slice(Math.max(0, first - 1), last + 2), { p50, p99 })];
}

function workersTable(workers) {
  if (!workers.length) return el("p.quiet", {}, "No worker runs on this machine.");
  const named = (models) => Object.entries(models).map(([name, said]) => el("div", {}, `${name} `, el("code", {}, said)));
  const rows = workers.map(({ instance, pid, started_at_ms: startedAt, models, refused }) =>
    el("tr", {}, el("th", { scope: "row" }, String(instance)), el("td.figure", {}, String(pid)), el("td", {}, moment(startedAt)), el("td", {}, named(models), refused && named(refused))),
  );
  return table(["Worker", "Process", "Since", "Serves"], rows);
}

/** What is served by the workers, what is released, and what was before: a swap shows in all three. */
function modelsTable(models, releases) {
  const names = [...new Set([...Object.keys(models), ...Object.keys(releases)])];
  if (!names.length) return el("p.quiet", {}, "No worker has said what it serves.");
  const rows = names.map((name) => {
    const released = releases[name];
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      el("td", {}, el("code", {}, models[name] ?? "nothing")),
      el("td", {}, released ? el("code", {}, released.version) : "nothing: the newest bundle is served"),
      el("td", {}, released && `${moment(released.released_at_ms)}, by ${released.by}${released.reason ? `: ${released.reason}` : ""}`),
      el("td", {}, (released?.earlier ?? []).map(({ version }) => el("div", {}, el("code", {}, version)))),
    );
  });
  return table(["Model", "Served", "Released", "When, by whom and why", "Before"], rows);
}

function table(names, rows) {
  const head = names.map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}
