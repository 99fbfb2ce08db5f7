/** The shop's front: the shopper's own list, which follows every event, and rows of what the shop shows everybody. */

import { el } from "../dom.js";
import { strip } from "./cards.js";
import { ownList } from "./own-list.js";

const SIZE = 24;

/** @param {import("./session.js").Session} session */
export function home(session, signal) {
  const own = ownList(session, signal, { title: "For you", size: SIZE, level: "h1" });
  const rows = [
    { row: strip(session, "Time to buy again"), read: () => session.lists.ofUser(session.userId, "again", { limit: 12 }, { signal }) },
    { row: strip(session, "Offers for you"), read: () => offers(session, signal) },
    { row: strip(session, "Trending now"), read: () => session.lists.ofScene("trending", { limit: 16 }, { signal }) },
    { row: strip(session, "New in the shop"), read: () => session.lists.ofScene("new", { limit: 16 }, { signal }) },
  ];
  const load = () => rows.forEach(({ row, read }) => show(row, read, session));
  load();
  session.addEventListener("shopper", load, { signal });
  signal.addEventListener("abort", () => rows.forEach(({ row }) => row.close()));
  return { title: "For you", node: el("div.view", {}, own.node, rows.map(({ row }) => row.node)) };
}

/** Fill a row; one that the API does not serve stays hidden. */
export async function show(row, read, session) {
  try {
    await row.show(await read());
  } catch (error) {
    if (error.status === 404) row.hide();
    else session.failed(error);
  }
}

async function offers(session, signal) {
  try {
    return await session.lists.ofUser(session.userId, "promotion", { limit: 16 }, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    return session.lists.ofScene("promotion", { limit: 16 }, { signal });
  }
}
