/** An item's page: what it is, cart and review, what the shopper's list became, and what goes with it. */

import { el, fill } from "../dom.js";
import { picture } from "../pictures/picture.js";
import { priceTag, strip } from "./cards.js";
import { show } from "./home.js";
import { ownList } from "./own-list.js";
import { say } from "./voice.js";

/** @param {import("./session.js").Session} session */
export async function product(session, signal, itemId) {
  const item = await session.lists.item(itemId, { signal });
  const entry = { item_id: itemId, item };
  const similar = strip(session, "Similar");
  const boughtWith = strip(session, "Bought with it");
  show(similar, () => session.lists.related(itemId, "similar", { limit: 12 }, { signal }), session);
  show(boughtWith, () => session.lists.related(itemId, "bought_with", { limit: 12 }, { signal }), session);
  const own = ownList(session, signal, { title: "Your list, after this", size: 6, level: "h2" });
  signal.addEventListener("abort", () => [similar, boughtWith].forEach((row) => row.close()));

  const details = el(
    "article.product",
    {},
    el("div.art", {}, picture(item)),
    el(
      "div.text",
      {},
      item.brand && el("p.brand", {}, el("a", { href: `#/brand/${encodeURIComponent(item.brand)}` }, item.brand)),
      el("h1", { tabindex: "-1" }, item.title),
      priceTag(item),
      item.description && el("p.description", {}, item.description),
      item.category && el("p", {}, "In ", el("a", { href: `#/category/${encodeURIComponent(item.category)}` }, item.category)),
      el(
        "div.actions",
        {},
        el("button", { type: "button", disabled: !item.in_stock, onclick: () => (session.add(entry), say("Added to the cart.")) }, "Add to cart"),
        el("button.ghost", { type: "button", disabled: !item.in_stock, onclick: () => (session.buy([entry]), say("Bought, as far as the demo goes.")) }, "Buy now"),
      ),
      reviewForm(session, entry),
    ),
  );
  return { title: item.title, node: el("div.view", {}, details, own.node, boughtWith.node, similar.node) };
}

function reviewForm(session, entry) {
  const text = el("textarea", { id: "review", name: "text", rows: "3", maxlength: "2000", required: true });
  const thanks = el("p.note", { role: "status" });
  const stars = el(
    "fieldset.stars",
    {},
    el("legend", {}, "Stars"),
    [1, 2, 3, 4, 5].map((count) =>
      el("label", {}, el("input", { type: "radio", name: "stars", value: count, required: true, checked: count === 5 }), el("span", {}, `${count}`)),
    ),
  );
  const submit = (event) => {
    event.preventDefault();
    session.review(entry, text.value, Number(new FormData(form).get("stars")));
    text.value = "";
    fill(thanks, "Thank you. Its mood is read now: see Behind the list.");
  };
  const form = el(
    "form.review",
    { onsubmit: submit },
    el("label", { for: "review" }, "Your review"),
    text,
    el("div.actions", {}, stars, el("button.ghost", { type: "submit" }, "Send the review")),
    thanks,
  );
  return el("details", {}, el("summary", {}, "Write a review"), form);
}
