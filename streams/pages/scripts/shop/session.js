/**
 * Who is shopping: the shopper's id, events out, changes and measured times in.
 *
 * Fires `shopper` (somebody else shops now), `acted` (an event is on its way), `list` (a list of the shopper changed),
 * `profile` (what is known of the shopper changed), `measured` (an event's list is on the screen), `reached`,
 * `unreached` (the API), `held` (events wait, or no longer do), `locked` (the API wants a key) and `why` (somebody asks
 * why an item is in the list).
 */

import { Connection, Lists, Tracker, follow, newId, stored } from "../client.js";

const STORE = "lastclick.shopper";
const SHOWN_FOR_MS = 1000;
/** An event whose list has not come by then is no longer waited for. */
const PATIENCE_MS = 10_000;
/** Without a list that knows an event after this long, the lists are behind: usual is a fraction of a second. */
const BEHIND_MS = 5_000;

export class Session extends EventTarget {
  #stop = () => {};
  #acted = new Map(); // events that no list knows yet, by id, oldest first
  #told = new Map(); // when impressions were told of, by event id
  #shown = new Set();
  #waiting = new Map();

  constructor() {
    super();
    this.connection = new Connection({ key: stored("sessionStorage").getItem("lastclick.key") });
    this.lists = new Lists(this.connection);
    this.tracker = new Tracker(this.connection, "", {
      onState: (waiting, error) => this.#sent(error),
      onRefused: ({ event }) => this.#acted.delete(event.event_id),
      onUnkept: () => this.#fire("held"),
    });
    this.cart = new Map();
    this.profile = null;
    this.journey = null;
    this.unreachedSince = null;
    this.heldSince = null;
  }

  /** Begin, as whoever shopped here before. */
  start() {
    this.become(stored("localStorage").getItem(STORE) ?? newShopper());
  }

  /** Shop as somebody else from now on. */
  become(userId) {
    this.#stop();
    this.userId = this.tracker.userId = userId;
    stored("localStorage").setItem(STORE, userId);
    this.#acted.clear();
    this.#told.clear();
    this.#shown.clear();
    Object.assign(this, { profile: null, journey: null });
    this.cart.clear();
    this.#fire("shopper");
    this.#stop = this.lists.changes(userId, (change) => this.#changed(change), (state, error) => {
      if (state === "open") {
        this.#reached(null);
        this.#fire("list", { change: null }); // what changed while nobody listened
      } else this.#reached(error);
    }); // prettier-ignore
    this.learn();
  }

  /** Follow what happens to other shoppers' lists. Returns a function that ends it. */
  followEveryone(onChange, onState) {
    return follow(this.connection, "/v1/changes", { list: onChange }, onState);
  }

  look(entry, place = {}) {
    return this.#act(this.tracker.click(entry.item_id, place), "clicks", entry);
  }

  add(entry) {
    const held = this.cart.get(entry.item_id);
    this.cart.set(entry.item_id, { ...entry, quantity: (held?.quantity ?? 0) + 1 });
    return this.#act(this.tracker.cart("add", entry.item_id, { unitPrice: entry.item?.price ?? 0 }), "carts", entry);
  }

  remove(entry) {
    const quantity = this.cart.get(entry.item_id)?.quantity ?? 1;
    this.cart.delete(entry.item_id);
    return this.#act(this.tracker.cart("remove", entry.item_id, { quantity, unitPrice: entry.item?.price ?? 0 }), "carts", entry);
  }

  buy(entries) {
    for (const entry of entries) {
      this.cart.delete(entry.item_id);
      const bought = { quantity: entry.quantity ?? 1, unitPrice: entry.item?.price ?? 0 };
      this.#act(this.tracker.cart("purchase", entry.item_id, bought), "carts", entry);
    }
  }

  review(entry, text, stars) {
    return this.#act(this.tracker.review(entry.item_id, text, { stars }), "reviews", entry);
  }

  /** These cards are on the screen: tell of each once, together. */
  shown(listId, itemId) {
    if (!listId || this.#shown.has(itemId)) return;
    this.#shown.add(itemId);
    if (!this.#waiting.has(listId)) {
      const { userId } = this;
      const tell = () => {
        // A list that an impression caused would hide the one that a click caused: first things first.
        if (this.#pending().length) {
          setTimeout(tell, SHOWN_FOR_MS);
          return;
        }
        const itemIds = this.#waiting.get(listId);
        this.#waiting.delete(listId);
        if (this.userId === userId) this.#told.set(this.tracker.impressions(listId, itemIds).event_id, performance.now());
      };
      setTimeout(tell, SHOWN_FOR_MS);
      this.#waiting.set(listId, []);
    }
    this.#waiting.get(listId).push(itemId);
  }

  /** A list is on the screen: if one of our events caused it, its way has an end. */
  rendered(list) {
    // A list that is read after an event's notice knows the event, even if a later one caused it.
    const acted = this.#acted.get(list.caused_by) ?? [...this.#acted.values()].findLast((each) => each.noticed !== null);
    const knownAt = acted?.at ?? this.#told.get(list.caused_by) ?? -Infinity;
    const knownMs = list.served.source === "user" ? list.event_at_ms : -Infinity;
    for (const [id, { at, event }] of this.#acted) if (at <= knownAt || event.occurred_at_ms <= knownMs) this.#acted.delete(id);
    if (!acted) return;
    requestAnimationFrame(() => {
      acted.total = performance.now() - acted.at;
      this.journey = acted;
      this.#fire("measured", { journey: acted });
    });
  }

  /** When the oldest event happened that was taken and that no list knows, once that is unusual; else null. */
  get behindSince() {
    const [oldest] = this.#acted.values();
    const late = oldest && performance.now() - oldest.at > BEHIND_MS;
    return late && !this.tracker.waiting && this.unreachedSince === null ? oldest.event.occurred_at_ms : null;
  }

  /** Somebody asks why an item is in the list. */
  askWhy(entry) {
    this.#fire("why", { entry });
  }

  /** Ask what is known of the shopper now. */
  async learn() {
    const { userId } = this;
    let profile = null;
    try {
      profile = await this.lists.profile(userId);
    } catch (error) {
      if (error.status !== 404) return this.failed(error); // 404: nothing is known yet
    }
    if (userId !== this.userId) return;
    this.profile = profile;
    if (!this.#pending().length) this.#takeCart(profile?.cart ?? []);
    this.#fire("profile");
  }

  /** A read failed: say so where the API is away or wants a key, and let a fault of this page be seen. */
  failed(error) {
    if (error.name === "AbortError") return;
    if (error.name !== "LastclickError") throw error;
    this.#locked(error);
    this.#reached(error);
  }

  /** Events whose lists are on their way, oldest first. */
  #pending() {
    const oldest = performance.now() - PATIENCE_MS;
    return [...this.#acted.values()].filter(({ at }) => at >= oldest);
  }

  #takeCart(held) {
    this.cart = new Map(held.map((each) => [each.item_id, { ...this.cart.get(each.item_id), ...each }]));
  }

  #act(event, topic, entry) {
    const acted = { event, topic, entry, at: performance.now(), noticed: null, total: null };
    this.#acted.set(event.event_id, acted);
    this.#fire("acted", { acted });
    return acted;
  }

  #changed(change) {
    const acted = this.#acted.get(change.caused_by);
    if (acted) acted.noticed ??= performance.now() - acted.at;
    this.#fire("list", { change });
    if (change.scene === "home") this.learn();
  }

  /** Events were taken, or are kept here because the API can't be reached, or can't take them. */
  #sent(error) {
    this.#reached(error);
    if (this.#locked(error)) return;
    this.heldSince = error ? (this.heldSince ?? Date.now()) : null;
    this.#fire("held");
  }

  #locked(error) {
    const locked = error?.status === 401 || error?.status === 403;
    if (locked) this.#fire("locked");
    return locked;
  }

  /** An answer that says what is missing behind the API is an answer all the same. */
  #reached(error) {
    if (error?.status === 0 && this.unreachedSince === null) {
      this.unreachedSince = Date.now();
      this.#fire("unreached", { error });
    } else if (!error && this.unreachedSince !== null) {
      this.unreachedSince = null;
      this.#fire("reached");
    }
  }

  #fire(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** An id that nobody has had. */
export const newShopper = () => `visitor-${newId().slice(0, 10)}`;
