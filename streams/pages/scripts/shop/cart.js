/** The cart, and what completes it. */

import { el, fill } from "../dom.js";
import { picture } from "../pictures/picture.js";
import { price, whole } from "../words.js";
import { itemLink, strip } from "./cards.js";
import { show } from "./home.js";
import { say } from "./voice.js";

/** @param {import("./session.js").Session} session */
export function cart(session, signal) {
  const rows = el("ul.cart", { "aria-labelledby": "cart-title" });
  const sum = el("p.sum");
  const buy = el("button", { type: "button", onclick: buyAll }, "Buy all of it");
  const completes = strip(session, "Completes your cart");
  const items = new Map();
  signal.addEventListener("abort", () => completes.close());

  /** The cart names items; what they cost is read from the catalogue. */
  async function complete(entry) {
    if (entry.item || items.has(entry.item_id)) return { ...entry, item: entry.item ?? items.get(entry.item_id) };
    items.set(entry.item_id, await session.lists.item(entry.item_id, { signal }));
    return { ...entry, item: items.get(entry.item_id) };
  }

  async function put() {
    let held;
    try {
      held = await Promise.all([...session.cart.values()].map(complete));
    } catch (error) {
      session.failed(error);
      return;
    }
    for (const entry of held) if (session.cart.has(entry.item_id)) session.cart.set(entry.item_id, entry);
    fill(rows, held.map(row));
    const total = held.reduce((so, { item, quantity }) => so + (item.price ?? 0) * quantity, 0);
    sum.textContent = held.length ? `Together ${price(total)}` : "Your cart is empty.";
    buy.hidden = !held.length;
    if (held.length) show(completes, () => session.lists.ofUser(session.userId, "cart", { limit: 12 }, { signal }), session);
    else completes.hide();
  }

  function row(entry) {
    const { item, quantity } = entry;
    const take = () => {
      session.remove(entry);
      say("Removed from the cart.");
      document.getElementById("cart-title").focus();
    };
    return el(
      "li",
      {},
      el("div.art", {}, picture(item)),
      el("p", {}, el("a", { href: itemLink(entry.item_id) }, item.title), el("span.age", {}, `${whole(quantity)} at ${price(item.price)}`)),
      el("button.ghost", { type: "button", "aria-label": `Remove ${item.title}`, onclick: take }, "Remove"),
    );
  }

  function buyAll() {
    session.buy([...session.cart.values()]);
    say("Bought, as far as the demo goes.");
    document.getElementById("cart-title").focus();
  }

  put();
  for (const name of ["acted", "profile", "shopper"]) session.addEventListener(name, put, { signal });
  const head = el("div.head", {}, el("h1", { id: "cart-title", tabindex: "-1" }, "Your cart"));
  return { title: "Your cart", node: el("div.view", {}, el("section", {}, head, rows, el("div.actions", {}, sum, buy)), completes.node) };
}
