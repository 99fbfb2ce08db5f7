/** Pages of many items: a category or a brand in the shopper's order, and a search by title. */

import { el, fill } from "../dom.js";
import { whole } from "../words.js";
import { Cards, servedNote } from "./cards.js";

const SIZE = 24;

/** @param {"category"|"brand"} kind */
export async function shelf(session, signal, kind, name) {
  const first = await readShelf(session, signal, kind, name);
  const order = first.served.source === "user" ? ", in your order" : "";
  return page(session, signal, { title: name, what: `All of this ${kind}${order}`, list: first });
}

/** Items whose titles hold these words. */
export async function search(session, signal, query) {
  const found = await session.lists.search({ query, limit: SIZE }, { signal });
  return page(session, signal, { title: `Search: ${query}`, what: "By title", list: found });
}

function page(session, signal, { title, what, list }) {
  const cards = new Cards(session, { labelledBy: "shelf" });
  signal.addEventListener("abort", () => cards.close());
  const count = el("p.age");
  const note = el("p.note", {}, servedNote(list));
  const more = el("button.ghost", { type: "button", onclick: () => onward() }, "More");
  let shown = list;

  async function put() {
    await cards.show(shown);
    count.textContent = `${whole(shown.total)} ${shown.total === 1 ? "item" : "items"}. ${what}.`;
    more.hidden = !shown.next;
  }

  /** The next page of the same list: the API names it. */
  async function onward() {
    const next = new URL(shown.next, location.href);
    try {
      const further = await session.connection.get(next.pathname + next.search, {}, { signal });
      shown = { ...further, items: [...shown.items, ...further.items] };
      await put();
    } catch (error) {
      if (error.status === 410) fill(note, "This list is no longer kept. Open the page anew for the current one.");
      else session.failed(error);
    }
  }

  put();
  const none = list.items.length === 0 && el("p.empty", {}, "Nothing here. Try another word or a category.");
  const head = el("div.head", {}, el("h1", { id: "shelf", tabindex: "-1" }, title), count);
  return { title, node: el("div.view", {}, el("section", {}, head, note, none, cards.node, more)) };
}

/** The scene in the shopper's order, or, where the API does not serve it, the catalogue's. */
async function readShelf(session, signal, kind, name) {
  try {
    return await session.lists.ofUser(session.userId, kind, { [kind]: name, limit: SIZE }, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    const found = await session.lists.search({ [kind]: name, limit: SIZE }, { signal });
    return { ...found, served: { source: "catalogue", reason: `this API does not serve the scene ${kind}` } };
  }
}
