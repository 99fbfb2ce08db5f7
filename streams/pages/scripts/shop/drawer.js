/**
 * Behind the list: the last event's way, what is known of the shopper, and why these items.
 *
 * Beside the page where there is room, and a modal sheet where there is not; the browser keeps the focus in the latter.
 */

import { bar, el, fill } from "../dom.js";
import { figure, moment, price, span, spaced, whole } from "../words.js";
import { itemLink } from "./cards.js";
import { did } from "./deeds.js";
import { why } from "./why.js";

const WIDE = matchMedia("(min-width: 72rem)");
const REASONS_SHOWN = 6;

/** @param {import("./session.js").Session} session */
export function drawer(session) {
  const dialog = document.getElementById("drawer");
  const button = document.getElementById("behind");
  const parts = Object.fromEntries(["journey", "value", "interests", "why", "events", "features"].map((name) => [name, el("section")]));
  const shut = el("button.ghost", { type: "button", onclick: () => dialog.close() }, "Close");
  const explained = why(session);
  let opener = button;
  fill(dialog, el("div.head", {}, el("h2", { id: "drawer-title", tabindex: "-1" }, "Behind the list"), shut), explained.node, Object.values(parts));

  const paints = { journey: paintJourney, value: paintValue, interests: paintInterests, why: paintWhy, events: paintEvents };
  const paint = (...names) => dialog.open && names.forEach((name) => fill(parts[name], paints[name](session)));
  const paintKnown = () => {
    paint("value", "interests", "events");
    paintFeatures(session, parts.features, dialog);
  };

  function open() {
    if (WIDE.matches) dialog.show();
    else dialog.showModal();
    button.setAttribute("aria-expanded", "true");
    document.body.classList.toggle("beside", WIDE.matches);
    paint("journey", "why");
    paintKnown();
    dialog.querySelector("#drawer-title").focus();
  }

  button.addEventListener("click", () => {
    opener = button;
    if (dialog.open) dialog.close();
    else open();
  });
  dialog.addEventListener("close", () => {
    if (dialog.open) return; // shut and opened again, to be modal or no longer
    button.setAttribute("aria-expanded", "false");
    document.body.classList.remove("beside");
    explained.hide();
    (opener.isConnected ? opener : button).focus();
  });
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || (event.target.closest("a") && !WIDE.matches)) dialog.close(); // the sheet's backdrop, or a way to elsewhere
  });
  WIDE.addEventListener("change", () => {
    if (!dialog.open) return;
    dialog.close();
    open();
  });
  session.addEventListener("why", ({ detail: { entry } }) => {
    if (!dialog.open) {
      opener = document.activeElement;
      open();
    }
    dialog.scrollTop = 0;
    explained.show(entry);
  });
  for (const name of ["acted", "measured", "list"]) session.addEventListener(name, () => paint("journey"));
  session.addEventListener("current", () => {
    paint("why");
    explained.again();
  });
  session.addEventListener("profile", paintKnown);
  session.addEventListener("shopper", () => {
    explained.hide();
    paint("journey");
  });
}

function paintJourney({ journey }) {
  const head = el("h3", {}, "Your last event");
  if (!journey) return [head, el("p.quiet", {}, "Look at something: its way from the click to your new list is measured here.")];
  const { event, noticed, total, entry } = journey;
  const title = (entry.item?.title ?? entry.title ?? entry.item_id).split(",")[0];
  const step = (what, ms) => ms !== null && el("li", {}, el("span", {}, what), el("strong", {}, span(ms)));
  return [
    head,
    el("p", {}, `You ${did(event.action ?? journey.topic)} `, el("em", {}, title), "."),
    el("ol.way", {}, step("through Kafka, features, model and Cassandra; notice back here", noticed), step("new list read, and on your screen", total)),
    el("p.quiet", {}, "Event ", el("code", {}, event.event_id.slice(0, 12))),
  ];
}

function paintValue({ profile }) {
  const head = el("h3", {}, "Buys within a day?");
  if (!profile) return [head, el("p.quiet", {}, "No forecast yet: the first event brings one.")];
  const { value, mood, behaviour } = profile;
  return [
    head,
    el("p.big", {}, `${(value.propensity * 100).toFixed(1)} %`, el("span.label", {}, value.propensity_label)),
    bar(value.propensity, "strong"),
    el(
      "dl.facts",
      {},
      fact("Mood of reviews", mood.mean === null ? "no review yet" : `${mood.label}: ${mood.mean.toFixed(2)} of -1 to 1`),
      fact("Spent", value.spend_total ? `${price(value.spend_total)} (${whole(value.units_total)} ${value.units_total === 1 ? "unit" : "units"})` : "nothing yet"),
      COUNTED.filter((name) => behaviour[name]).map((name) => fact(SAID[name] ?? capital(name), whole(behaviour[name]))),
      fact("Last event", behaviour.last_event_at_ms ? moment(behaviour.last_event_at_ms) : "never"),
    ),
  ]; // prettier-ignore
}

const COUNTED = ["clicks", "adds", "removes", "purchases", "returns", "reviews", "impressions"];
const SAID = { clicks: "Looks", adds: "Put in the cart", removes: "Taken from it", impressions: "Lists shown" };
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

function paintInterests({ profile }) {
  const { categories = [], brands = [] } = profile?.interests ?? {};
  if (!categories.length && !brands.length) return [el("h3", {}, "Interests"), el("p.quiet", {}, "Nothing is known yet.")];
  const most = Math.max(...[...categories, ...brands].map(({ weight }) => weight), 1e-9);
  const list = (kind, entries) =>
    entries.length > 0 && el("ul.weights", {}, entries.slice(0, 4).map(({ name, weight }) =>
      el("li", {}, el("a", { href: `#/${kind}/${encodeURIComponent(name)}` }, name), bar(weight / most), el("span.figure", {}, `${Math.round(weight * 100)} %`))));
  return [el("h3", {}, "Interests"), list("category", categories), list("brand", brands)];
}

function paintWhy(session) {
  const { current } = session;
  const head = el("h3", {}, "Why these items");
  if (!current) return [head, el("p.quiet", {}, "The list is not there yet.")];
  return [
    head,
    el("ol.why", {}, current.items.slice(0, REASONS_SHOWN).map((entry) => {
      const title = (entry.item?.title ?? entry.item_id).split(",")[0];
      const ask = el("button.plain", { type: "button", "aria-label": `Why ${title}?`, onclick: () => session.askWhy(entry) }, "Why this?");
      return el("li", {}, el("a", { href: itemLink(entry.item_id) }, title), el("span.figure", { title: "score" }, figure(entry.score)), el("span.reason", {}, entry.reason), ask);
    })),
    el(
      "dl.facts",
      {},
      fact("List", el("code", {}, current.list_id.slice(0, 12) || "none")),
      fact("Caused by", el("code", {}, (current.caused_by ?? "nothing yet").slice(0, 12))),
      fact("Model", el("code", {}, current.model_version ?? "none")),
      current.experiment_arm && fact("Arm", current.experiment_arm),
      fact("Served", `${current.served.source}: ${current.served.reason}`),
    ),
  ]; // prettier-ignore
}

function paintEvents({ profile }) {
  const events = profile?.events ?? [];
  const head = el("h3", {}, "Events");
  if (!events.length) return [head, el("p.quiet", {}, "None yet.")];
  return [
    head,
    el("ol.events", {}, events.slice(0, 8).map((event) =>
      el("li", {}, el("span", {}, capital(did(event.action))), " ", el("a", { href: itemLink(event.item_id) }, (event.title ?? event.item_id).split(",")[0]), " ", el("time", { datetime: new Date(event.occurred_at_ms).toISOString() }, moment(event.occurred_at_ms))))),
  ]; // prettier-ignore
}

/** The features as Feast serves them; read only while somebody looks. */
async function paintFeatures(session, section, dialog) {
  if (!dialog.open) return;
  let features;
  try {
    ({ features } = await session.lists.features(session.userId));
  } catch (error) {
    if (error.status !== 404) session.failed(error);
    fill(section, el("h3", {}, "Features"), el("p.quiet", {}, "None are stored yet."));
    return;
  }
  const open = section.querySelector("details")?.open ?? false;
  const rows = Object.entries(features ?? {}).map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, spaced(name)), el("td", {}, figure(value ?? "none"))));
  fill(section, el("h3", {}, "Features"), el("details", { open }, el("summary", {}, `${rows.length} values, as Feast serves them`), el("table", {}, el("tbody", {}, rows))));
}
