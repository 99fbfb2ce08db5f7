/** Items as cards, and lists of cards that change in place. */

import { el, fill } from "../dom.js";
import { reorder, untilReleased } from "../flip.js";
import { picture } from "../pictures/picture.js";
import { price } from "../words.js";

/** @typedef {{item_id: string, score?: number, reason?: string, item?: object}} Entry An item as a list holds it. */

export const itemLink = (itemId) => `#/item/${encodeURIComponent(itemId)}`;

/** Price, and what it was before where it is on offer. */
export function priceTag(item) {
  const was = item.list_price > item.price ? item.list_price : null;
  return el(
    "p.price",
    {},
    was ? [el("span.hidden", {}, "now "), el("strong.offer", {}, price(item.price)), " ", el("s", {}, el("span.hidden", {}, "before "), price(was))] : el("strong", {}, price(item.price)),
    item.in_stock === false && el("span.out", {}, "sold out"),
  );
}

/** How much an item on offer is below its list price, over its picture. */
function badge(item) {
  const off = item.list_price > item.price ? Math.round(100 * (1 - item.price / item.list_price)) : 0;
  return off > 0 && el("span.badge", {}, `${off}% off`);
}

/** What a title says besides its brand: "Birch Rope Dog Lead, 1.5 m" without the brand that stands above it. */
function shortTitle(item, itemId) {
  const title = item.title ?? itemId;
  return item.brand && title.startsWith(`${item.brand} `) ? title.slice(item.brand.length + 1) : title;
}

class Card {
  #quick = el("p.quick", { hidden: true, tabindex: "0" });
  #badge = el("div");
  #buy = el("div");
  #add = null;
  #offered = "";

  /** @param {import("./session.js").Session} session */
  constructor(session, entry, small) {
    this.session = session;
    this.entry = entry;
    const item = { item_id: entry.item_id, ...entry.item };
    this.reason = el("p.reason");
    const why = !small && el("button.plain.ask", { type: "button", "aria-label": `Why ${item.title ?? entry.item_id}?`, onclick: () => this.session.askWhy(this.entry) }, "Why this?");
    const name = el("p.name", {}, el("a", { href: itemLink(entry.item_id), onclick: () => this.look() }, item.brand && el("span.brand", {}, item.brand), shortTitle(item, entry.item_id)));
    this.node = el(
      `li.card${small ? ".small" : ""}`,
      { "data-item": entry.item_id },
      el("div.art", {}, picture(item), this.#badge, !small && this.#quick),
      el("div.text", {}, name, this.reason, why, el("div.buy", {}, this.#buy, !small && this.#actions(item))),
    );
  }

  update(entry, list, position) {
    Object.assign(this, { entry, list, position });
    if (this.reason.textContent !== (entry.reason ?? "")) this.reason.textContent = entry.reason ?? "";
    this.#offer({ item_id: entry.item_id, ...entry.item });
  }

  /** Price, offer and stock change while the item stays. */
  #offer(item) {
    const { price: now, list_price: was, in_stock: inStock } = item;
    const offered = JSON.stringify([now, was, inStock]);
    if (offered === this.#offered) return;
    this.#offered = offered;
    fill(this.#badge, badge(item));
    fill(this.#buy, priceTag(item));
    if (this.#add) this.#add.disabled = inStock === false;
  }

  look() {
    this.session.look(this.entry, { listId: this.list?.list_id, position: this.position });
  }

  #actions(item) {
    const button = el("button.ghost", { type: "button", "aria-expanded": "false", "aria-label": `Quick look at ${item.title}`, onclick: () => this.#openQuick(button) }, "Look");
    this.#add = el("button", { type: "button", "aria-label": `Add ${item.title} to the cart`, onclick: () => this.session.add(this.entry) }, "Add");
    return el("div.actions", {}, button, this.#add);
  }

  /** Open the description in the card: a look at the item, like any other, without leaving the list. */
  async #openQuick(button) {
    const quick = this.#quick;
    const open = quick.hidden;
    button.setAttribute("aria-expanded", String(open));
    quick.hidden = !open;
    if (!open) return;
    this.look();
    if (quick.textContent) return;
    try {
      quick.textContent = (await this.session.lists.item(this.entry.item_id)).description ?? "No description.";
    } catch (error) {
      quick.textContent = "The description can't be had now.";
      this.session.failed(error);
    }
  }
}

/** A list of cards, keyed by item: what stays is moved, not made anew. */
export class Cards {
  #cards = new Map();
  #turn = 0;

  /** @param {{small?: boolean, labelledBy: string}} options `labelledBy` is the id of the heading that names the list for assistive technology. */
  constructor(session, { small = false, labelledBy }) {
    Object.assign(this, { session, small });
    this.node = el(`ul.${small ? "strip" : "grid"}`, { "aria-labelledby": labelledBy, tabindex: small ? "0" : null });
    this.sight = new IntersectionObserver((seen) => seen.forEach((each) => this.#seen(each)), { threshold: 0.5 });
  }

  /** Show a list; resolves with how many items are new in it, or null when a newer one came first. */
  async show(list) {
    const turn = ++this.#turn;
    await untilReleased();
    if (turn !== this.#turn) return null;
    const kept = new Map();
    let entered = 0;
    list.items.forEach((entry, position) => {
      const known = this.#cards.get(entry.item_id);
      const card = known ?? new Card(this.session, entry, this.small);
      if (!known) {
        entered += 1;
        this.sight.observe(card.node);
      }
      card.update(entry, list, position);
      kept.set(entry.item_id, card);
    });
    for (const [itemId, card] of this.#cards) if (!kept.has(itemId)) this.sight.unobserve(card.node);
    const first = this.#cards.size === 0;
    this.#cards = kept;
    reorder(this.node, [...kept.values()].map((card) => card.node));
    return first ? 0 : entered;
  }

  close() {
    this.sight.disconnect();
  }

  #seen({ target, isIntersecting }) {
    const card = this.#cards.get(target.dataset.item);
    if (isIntersecting && card?.list) this.session.shown(card.list.list_id, card.entry.item_id);
  }
}

/** A heading, a note where the answer is a fallback, and cards in a row; hidden while there is nothing to show. */
export function strip(session, title) {
  const id = `strip-${title.toLowerCase().replace(/\W+/g, "-")}`;
  const cards = new Cards(session, { small: true, labelledBy: id });
  const note = el("p.note");
  const node = el("section.row", { hidden: true }, el("div.head", {}, el("h2", { id }, title), note), cards.node);
  return {
    node,
    close: () => cards.close(),
    async show(list) {
      node.hidden = list.items.length === 0;
      fill(note, servedNote(list));
      return cards.show(list);
    },
    hide: () => (node.hidden = true),
  };
}

/** Says in a few words where a list came from, when it is not the shopper's own; empty else. */
export function servedNote({ served, stale, age_ms: age }) {
  const source = { segment: "What shoppers like you look at", popular: "What is popular", catalogue: "Straight from the catalogue" }[served?.source];
  const old = stale ? `This list is ${Math.round(age / 1000)} s old` : "";
  return [source && `${source}${served.reason ? `: ${served.reason}` : ""}`, old].filter(Boolean).join(". ");
}
