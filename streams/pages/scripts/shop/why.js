/**
 * Why an item is in the shopper's list: a panel that reads the item's explanation and says what it holds.
 *
 * It is read anew when the list changes, and shows what it showed until then.
 */

import { bar, el, fill } from "../dom.js";
import { clock, figure, moment, signed, spaced, whole } from "../words.js";
import { itemLink } from "./cards.js";
import { did } from "./deeds.js";

const CAUSES_SHOWN = 6;
/** Of a score; what is less would be shown as nothing. */
const LEAST_PART = 0.005;
const VALUES_SHOWN = 3;

/** @param {import("./session.js").Session} session */
export function why(session) {
  const node = el("section.explained", { hidden: true, "aria-labelledby": "why-title" });
  const body = el("div.body", { "aria-live": "polite" });
  let entry = null;
  let reading = new AbortController();

  async function read() {
    reading.abort();
    const { signal } = (reading = new AbortController());
    const { userId } = session;
    node.setAttribute("aria-busy", "true");
    try {
      const found = await session.lists.explanation(userId, entry.item_id, { signal });
      fill(body, told(found));
    } catch (error) {
      if (signal.aborted) return;
      if (error.name !== "LastclickError") throw error;
      fill(body, failure(error));
    }
    node.removeAttribute("aria-busy");
  }

  function failure(error) {
    const [words, again] =
      error.status === 404 ? [unknown(error), false]
      : error.status === 503 || error.status === 429 ? ["Too many ask at once, or the store is away. Ask again in a moment.", true]
      : ["The reasons can't be had now.", true]; // prettier-ignore
    return [el("p", {}, words), again && el("div.actions", {}, el("button.ghost", { type: "button", onclick: read }, "Ask again"))];
  }

  /** Of whom nothing is known, nothing can be explained; an item may have gone. */
  const unknown = ({ problem }) =>
    problem.detail?.startsWith("nothing is known") ? "You have done nothing here yet, so this is what the shop shows everybody. Look at something, and ask again." : "This item has left the shop.";

  return {
    node,
    /** Explain another item. */
    show(asked) {
      entry = asked;
      node.hidden = false;
      const title = (entry.item?.title ?? entry.title ?? entry.item_id).split(",")[0];
      fill(
        node,
        el("h3", { id: "why-title", tabindex: "-1" }, "Why this?"),
        el("p.name", {}, el("a", { href: itemLink(entry.item_id) }, title)),
        entry.reason && el("p.reason", {}, entry.reason),
        fill(body, el("p.loading", {}, "Scoring your list with and without each thing you did.")),
      );
      node.querySelector("h3").focus();
      return read();
    },
    /** The list has changed. */
    again: () => entry && read(),
    hide() {
      reading.abort();
      entry = null;
      node.hidden = true;
    },
  };
}

function told(found) {
  return [moved(found), steps(found), forecast(found), source(found)];
}

/** The events and by how much each moved the score. */
function moved({ causes }) {
  const parts = causes.filter(({ score_part: part }) => Math.abs(part) >= LEAST_PART).sort((a, b) => Math.abs(b.score_part) - Math.abs(a.score_part));
  const most = Math.max(...parts.map(({ score_part: part }) => Math.abs(part)), 1e-9);
  const left = causes.length - Math.min(parts.length, CAUSES_SHOWN);
  return el(
    "div",
    {},
    el("h4", {}, "What moved its score"),
    el("p.quiet", {}, "By how much each thing you did raised or lowered its score: the score with it, less the score without. Parts need not add up, as like deeds stand in for each other."),
    parts.length
      ? el("ul.parts", {}, parts.slice(0, CAUSES_SHOWN).map((cause) => part(cause, most)))
      : el("p", {}, "No single thing that you did: it comes from all of it."),
    parts.length > 0 && left > 0 && el("p.quiet", {}, `and ${whole(left)} more, each of less weight`),
  );
}

function part(cause, most) {
  const title = (cause.title ?? cause.item_id).split(",")[0];
  const down = cause.score_part < 0;
  return el(
    "li",
    {},
    el("span", {}, `You ${did(cause.action)} `, el("a", { href: itemLink(cause.item_id) }, title), " ", el("time", { datetime: new Date(cause.occurred_at_ms).toISOString() }, moment(cause.occurred_at_ms))),
    el(`span.figure${down ? ".down" : ".up"}`, {}, signed(cause.score_part, 2)),
    bar(Math.abs(cause.score_part) / most, down ? "down" : "up"),
  );
}

/** From the score to the place: what ranked it, and what moved or held it on the way. */
function steps(found) {
  const { rank, rank_among: among, rank_showable: showable, rules, hurdles, stored_list: stored } = found;
  const place = stored?.position;
  const step = (what, result, kind = "") => el(`li${kind}`, {}, el("span", {}, what), el("strong", {}, result));
  return el(
    "div",
    {},
    el("h4", {}, "From its score to its place"),
    el(
      "ol.way",
      {},
      step("the model's score for you", figure(found.score)),
      step(`rank among ${whole(among)} items`, `no. ${whole(rank)}`),
      step("rank among those that may be shown to you", showable === null ? "none" : `no. ${whole(showable)}`),
      rules.map((rule) => step("a rule of the shop", rule, ".said")),
      hurdles.map(({ words }) => step("kept out of a list made now", words, ".said.held")),
      step(stored ? `place in your list of ${whole(stored.items)}, with its variety` : "place in your list", place ? `no. ${whole(place)}` : "none"),
    ),
  );
}

/** Groups of features, and what each adds to the forecast of a purchase. */
function forecast({ features, propensity }) {
  const groups = features.map((group) => ({ ...group, known: Object.entries(group.values).filter(([, value]) => value !== 0 && value !== "") }));
  const shown = groups.filter(({ known }) => known.length);
  const points = (share) => `${signed(100 * share, 1)} points`;
  return el(
    "details",
    {},
    el("summary", {}, `Features: a purchase within a day, ${(100 * propensity).toFixed(1)}\u00a0%`),
    el("p.quiet", {}, "They make the forecast; the order of the list comes from what you did."),
    el("ul.parts", {}, shown.map(({ name, known, propensity_part: share }) =>
      el("li", {},
        el("span", {}, `${spaced(name)}: `, known.slice(0, VALUES_SHOWN).map(([key, value]) => `${spaced(key)} ${figure(value)}`).join(", "), known.length > VALUES_SHOWN && ` and ${known.length - VALUES_SHOWN} more`),
        el(`span.figure${share < 0 ? ".down" : ".up"}`, {}, points(share))))),
  ); // prettier-ignore
}

function source({ model_version: version, stored_list: stored, state_event_id: event }) {
  const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const other = stored && stored.model_version !== version;
  return el(
    "dl.facts",
    {},
    fact("Scored by", el("code", {}, version)),
    other && fact("List by", el("code", {}, stored.model_version)),
    stored && fact("List", el("code", {}, stored.list_id.slice(0, 12))),
    stored && fact("Written", clock(stored.written_at_ms)),
    fact("Knows until", el("code", {}, event.slice(0, 12))),
  );
}
