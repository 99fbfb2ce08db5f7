/** The shopper's home list, live: each change is read, moved into place, and timed from the click that caused it. */

import { el, fill } from "../dom.js";
import { clock, span } from "../words.js";
import { Cards, servedNote } from "./cards.js";
import { say } from "./voice.js";

const VERBS = { clicks: "your look at", carts: "your cart and", reviews: "your review of" };
/** Without a notice after an event, ask all the same: the stream of changes may be cut off. */
const ASK_AGAIN_MS = [1_500, 4_000];
/** No notice tells of a new price, or of an item that is gone: ask now and then, which costs little with an ETag. */
const LOOK_EVERY_MS = 30_000;

/** When a list's age was true: one that has not changed comes from the browser's cache, with the age of then. */
const firstReceived = (fresh, held) => (held?.list_id === fresh.list_id && held.age_ms === fresh.age_ms ? held.receivedAt : Date.now());

/**
 * @param {import("./session.js").Session} session
 * @param {AbortSignal} signal Ends it.
 * @param {{title: string, size: number, level: "h1"|"h2"}} options
 */
export function ownList(session, signal, { title, size, level }) {
  const id = "own-list";
  const cards = new Cards(session, { labelledBy: id });
  const age = el("p.age");
  const timed = el("p.timed", { hidden: true });
  const note = el("p.note");
  const behind = el("p.behind", { role: "status" });
  const node = el(
    "section.own",
    {},
    el("div.head", {}, el(level, { id, tabindex: "-1" }, title), el("div.live", {}, timed, age)),
    behind,
    note,
    cards.node,
  );
  let list = null;

  async function read() {
    let fresh;
    try {
      fresh = await session.lists.ofUser(session.userId, "home", { limit: size }, { signal });
    } catch (error) {
      session.failed(error);
      return;
    }
    if (fresh.user_id !== session.userId) return;
    const hadFocus = cards.node.contains(document.activeElement);
    const entered = await cards.show(fresh);
    if (entered === null) return;
    if (hadFocus && !cards.node.contains(document.activeElement)) node.querySelector(`#${id}`).focus();
    const known = list;
    list = session.current = { ...fresh, receivedAt: firstReceived(fresh, session.current) };
    fill(note, servedNote(fresh));
    if (fresh.list_id === known?.list_id) return;
    node.dataset.list = fresh.list_id;
    node.dataset.cause = fresh.caused_by ?? "";
    tick();
    session.rendered(fresh);
    session.dispatchEvent(new CustomEvent("current"));
    if (known && entered) say(`Your list changed: ${entered} new ${entered === 1 ? "item" : "items"}.`);
  }

  function tick() {
    if (!list) return;
    const ms = list.age_ms + Date.now() - list.receivedAt;
    age.textContent = list.age_ms === null ? "" : ms < 1000 ? "List written just now" : `List written ${span(ms)} ago`;
    const since = session.behindSince;
    node.toggleAttribute("data-behind", since !== null);
    const words = since === null ? "" : `No new list has come since ${clock(since)}. Your clicks are taken and will count; this older list stays until then.`;
    if (behind.textContent !== words) behind.textContent = words;
  }

  const timers = [setInterval(tick, 1000), setInterval(() => !document.hidden && read(), LOOK_EVERY_MS)];
  signal.addEventListener("abort", () => (timers.forEach(clearInterval), cards.close()));
  const listen = (name, listener) => session.addEventListener(name, listener, { signal });
  listen("shopper", () => {
    timed.hidden = true;
    list = null;
    read();
  });
  listen("list", ({ detail: { change } }) => (!change || change.scene === "home") && read());
  listen("reached", read);
  listen("acted", ({ detail: { acted } }) =>
    ASK_AGAIN_MS.forEach((ms) => setTimeout(() => !signal.aborted && acted.total === null && read(), ms)),
  );
  listen("measured", ({ detail: { journey } }) => {
    const what = `${VERBS[journey.topic]} ${(journey.entry.item?.title ?? journey.entry.title ?? "this").split(",")[0]}`;
    fill(timed, el("span", { title: `Caused by ${what}` }, journey.topic === "clicks" ? "Click to new list: " : "Event to new list: "), el("strong", {}, span(journey.total)));
    timed.hidden = false;
  });
  read();
  return { node };
}
