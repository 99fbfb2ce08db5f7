/** Other shoppers move in the background: a line of what they did last, which can be stopped. */

import { el, fill } from "../dom.js";
import { itemLink } from "./cards.js";
import { did } from "./deeds.js";

const EVERY_MS = 2_500;
const SHOWN = 4;
const REMEMBERED = 12;

/**
 * @param {import("./session.js").Session} session
 * @returns {{recent: () => string[]}} Shoppers whose lists changed lately, newest first.
 */
export function ticker(session) {
  const node = document.getElementById("ticker");
  const lines = el("ul");
  let paused = false;
  let latest = null;
  let seen = [];
  const stop = el("button.ghost", { type: "button", "aria-pressed": "false" }, "Pause");
  stop.addEventListener("click", () => {
    paused = !paused;
    stop.setAttribute("aria-pressed", String(paused));
    stop.textContent = paused ? "Go on" : "Pause";
  });
  fill(node, el("h2", { id: "ticker-title" }, "Also shopping"), lines, stop);

  session.followEveryone((change) => {
    if (change.user_id === session.userId) return;
    latest = change.user_id;
    seen = [latest, ...seen.filter((userId) => userId !== latest)].slice(0, REMEMBERED);
  });

  setInterval(async () => {
    if (paused || latest === null || document.hidden) return;
    const userId = latest;
    latest = null;
    try {
      const event = (await session.lists.profile(userId)).events?.[0];
      if (!event || paused) return;
      const what = el("a", { href: itemLink(event.item_id) }, (event.title ?? event.item_id).split(",")[0]);
      const who = el("button.plain", { type: "button", title: `Shop as ${userId}`, onclick: () => session.become(userId) }, userId);
      lines.prepend(el("li", {}, who, ` ${did(event.action)} `, what));
      while (lines.children.length > SHOWN) lines.lastChild.remove();
      node.hidden = false;
    } catch (error) {
      session.failed(error);
    }
  }, EVERY_MS);

  return { recent: () => seen };
}
