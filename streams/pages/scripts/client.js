/**
 * Lastclick's client for shops: what shoppers do goes out, lists come in. One file, no dependencies.
 *
 *   const connection = new Connection({ base: "https://lists.example.com", key: "..." });
 *   const tracker = new Tracker(connection, "user-1");
 *   tracker.click("item-9", { listId, position: 2 });
 *   const list = await new Lists(connection).ofUser("user-1", "home", { limit: 12 });
 *
 * See docs/javascript-client.md.
 */

const TIMEOUT_MS = 5_000;
const SESSION_PAUSE_MS = 30 * 60_000;
/** A stream that stays silent for longer is taken to be dead: the server sends a comment every 15 s. */
const SILENCE_MS = 40_000;

/** An answer that is no success, or none at all (`status` 0). */
export class LastclickError extends Error {
  /**
   * @param {string} message What failed, and what was seen.
   * @param {number} status HTTP status, 0 when the server was not reached.
   * @param {object} problem The RFC 9457 document, `{}` when there was none.
   * @param {number|null} retryAfterMs What the server asked for.
   */
  constructor(message, status, problem = {}, retryAfterMs = null) {
    super(message);
    this.name = "LastclickError";
    this.status = status;
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request can never succeed: the input itself is at fault. */
  get refused() {
    return [400, 413, 422].includes(this.status);
  }
}

/** Where the API is, and with which key. */
export class Connection {
  /** @param {{base?: string, key?: string|null, timeoutMs?: number}} options An empty base is the page's own host. */
  constructor({ base = "", key = null, timeoutMs = TIMEOUT_MS } = {}) {
    this.base = base.replace(/\/$/, "");
    this.key = key;
    this.timeoutMs = timeoutMs;
  }

  /** @returns {Record<string, string>} */
  headers(extra = {}) {
    return this.key ? { ...extra, Authorization: `Bearer ${this.key}` } : extra;
  }

  /** GET a JSON document; parameters that are null, undefined or "" are left out, arrays are repeated. */
  async get(path, parameters = {}, { signal, cache = "default" } = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) {
      for (const each of Array.isArray(value) ? value : [value]) {
        if (each !== null && each !== undefined && each !== "") query.append(name, String(each));
      }
    }
    const suffix = query.size ? `?${query}` : "";
    return this.#ask(path + suffix, { headers: this.headers({ Accept: "application/json" }), signal, cache });
  }

  /** POST a JSON document. */
  async post(path, body, { keepalive = false } = {}) {
    const headers = this.headers({ "Content-Type": "application/json", Accept: "application/json" });
    return this.#ask(path, { method: "POST", headers, body: JSON.stringify(body), keepalive });
  }

  async #ask(path, { signal, ...options }) {
    const timeout = AbortSignal.timeout(this.timeoutMs);
    let answer;
    try {
      answer = await fetch(this.base + path, { ...options, signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new LastclickError(`${path}: no answer (${error.message})`, 0);
    }
    let document;
    try {
      document = await answer.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      document = {};
    }
    if (answer.ok) return document;
    const seconds = Number(answer.headers.get("Retry-After"));
    throw new LastclickError(
      `${path}: ${answer.status} ${document.detail ?? document.title ?? answer.statusText}`,
      answer.status,
      document,
      seconds > 0 ? seconds * 1000 : null,
    );
  }
}

/** Reads lists, items and what is known of a shopper. Every method returns the API's document as it is. */
export class Lists {
  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
  }

  /**
   * A scene's list of a user: home, cart, category, brand, promotion, again.
   * @param {object} filters limit, offset, list_id, category, brand, price_min, price_max, exclude (array)
   */
  ofUser(userId, scene, filters = {}, options = {}) {
    const path = `/v1/users/${encodeURIComponent(userId)}/lists/${scene}`;
    // A list may have changed a moment ago: the browser's copy is asked about, never taken.
    return this.connection.get(path, { hydrate: true, ...filters }, { cache: "no-cache", ...options });
  }

  /** A scene's list that belongs to nobody: popular, trending, new, promotion. */
  ofScene(scene, filters = {}, options = {}) {
    return this.connection.get(`/v1/lists/${scene}`, { hydrate: true, ...filters }, options);
  }

  /** Items `similar` to an item, or `bought_with` it. */
  related(itemId, kind, filters = {}, options = {}) {
    const path = `/v1/items/${encodeURIComponent(itemId)}/related`;
    return this.connection.get(path, { kind, hydrate: true, ...filters }, options);
  }

  item(itemId, options = {}) {
    return this.connection.get(`/v1/items/${encodeURIComponent(itemId)}`, {}, options);
  }

  /** Search by title. @param {object} filters query, category, brand, limit, offset */
  search(filters, options = {}) {
    return this.connection.get("/v1/items", filters, options);
  }

  categories(options = {}) {
    return this.connection.get("/v1/categories", {}, options);
  }

  profile(userId, options = {}) {
    return this.connection.get(`/v1/users/${encodeURIComponent(userId)}/profile`, {}, options);
  }

  features(userId, options = {}) {
    return this.connection.get(`/v1/users/${encodeURIComponent(userId)}/features`, {}, options);
  }

  /**
   * Tell of each change of a user's lists: `{user_id, scene, list_id, caused_by}`.
   * @returns {() => void} Ends it.
   */
  changes(userId, onChange, onState = () => {}) {
    return follow(this.connection, `/v1/users/${encodeURIComponent(userId)}/changes`, { list: onChange }, onState);
  }
}

/**
 * Follow server-sent events, and connect again whenever they break off.
 *
 * `fetch` rather than `EventSource`, which cannot send a key.
 *
 * @param {Connection} connection
 * @param {string} path
 * @param {Record<string, (data: any) => void>} handlers By event name.
 * @param {(state: "open"|"lost", error?: LastclickError) => void} onState
 * @returns {() => void} Ends it.
 */
export function follow(connection, path, handlers, onState = () => {}) {
  const ended = new AbortController();
  (async () => {
    let failures = 0;
    while (!ended.signal.aborted) {
      let lost;
      try {
        await readStream(connection, path, handlers, ended.signal, () => {
          failures = 0;
          onState("open");
        });
        lost = new LastclickError(`${path}: the stream ended`, 0);
      } catch (error) {
        lost = error instanceof LastclickError ? error : new LastclickError(`${path}: ${error.message}`, 0);
      }
      if (ended.signal.aborted) return;
      onState("lost", lost);
      // A refusal stays one: an unknown path, a missing scope.
      if (lost.status >= 400 && lost.status < 500 && lost.status !== 429) return;
      await pause(lost.retryAfterMs ?? backOffMs(failures++), ended.signal);
    }
  })();
  return () => ended.abort();
}

async function readStream(connection, path, handlers, signal, onOpen) {
  const silence = new AbortController();
  let watch = setTimeout(() => silence.abort(), connection.timeoutMs);
  try {
    const answer = await fetch(connection.base + path, {
      headers: connection.headers({ Accept: "text/event-stream" }),
      signal: AbortSignal.any([signal, silence.signal]),
      cache: "no-store",
    });
    if (!answer.ok) {
      const seconds = Number(answer.headers.get("Retry-After"));
      throw new LastclickError(`${path}: ${answer.status}`, answer.status, {}, seconds > 0 ? seconds * 1000 : null);
    }
    onOpen();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      clearTimeout(watch);
      watch = setTimeout(() => silence.abort(), SILENCE_MS);
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (text + value).split(/\r\n\r\n|\n\n|\r\r/);
      text = blocks.pop();
      blocks.forEach((block) => dispatch(block, handlers));
    }
  } finally {
    clearTimeout(watch);
  }
}

function dispatch(block, handlers) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const [, field, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  if (data.length && handlers[name]) handlers[name](JSON.parse(data.join("\n")));
}

/**
 * Sends a shopper's events, and keeps them in the browser until the broker has them.
 *
 * Event ids are made here, so an event that is sent twice counts once. What can't be sent waits in localStorage, over
 * reloads, and is tried again with growing pauses; what is left when the page goes away is sent by a beacon as well.
 */
export class Tracker {
  #timer = null;
  #sending = null;
  #failures = 0;
  #ended = new AbortController();

  /**
   * @param {Connection} connection
   * @param {string} userId
   * @param {object} options
   * @param {number} [options.most] Events kept at most; beyond, the oldest are dropped and counted in `dropped`.
   * @param {string} [options.store] Key in localStorage.
   * @param {(waiting: number, error: LastclickError|null) => void} [options.onState] After every try.
   * @param {(entry: object, error: LastclickError) => void} [options.onRefused] An event that breaks the contract.
   */
  constructor(connection, userId, { most = 1000, store = "lastclick.events", onState = () => {}, onRefused = () => {} } = {}) {
    Object.assign(this, { connection, userId, most, store, onState, onRefused });
    this.dropped = 0;
    const { signal } = this.#ended;
    addEventListener("online", () => this.flush(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
    addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.#leave(), { signal });
    this.#soon(0);
  }

  /** Events that the broker does not have yet. */
  get waiting() {
    return this.#load().length;
  }

  /** The shopper opened an item, maybe from a position (0 is first) of a list. Returns the event. */
  click(itemId, { listId, position } = {}) {
    return this.#add("clicks", { item_id: itemId, session_id: sessionId(), list_id: listId, position });
  }

  /** A change of the cart, or a purchase. @param {"add"|"remove"|"purchase"} action */
  cart(action, itemId, { quantity = 1, unitPrice = 0 } = {}) {
    return this.#add("carts", { item_id: itemId, action, quantity, unit_price: unitPrice });
  }

  /** What the shopper wrote about an item; `stars` 1 to 5, or left out. */
  review(itemId, text, { stars } = {}) {
    return this.#add("reviews", { item_id: itemId, text, stars });
  }

  /** A list was shown, with these items in this order. */
  impressions(listId, itemIds) {
    return this.#add("impressions", { list_id: listId, item_ids: itemIds });
  }

  /** Send what waits, now. */
  async flush() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = null));
    return this.#sending;
  }

  /** End: nothing more is tried; what waits stays for the next page. */
  close() {
    clearTimeout(this.#timer);
    this.#ended.abort();
  }

  #add(topic, fields) {
    const event = { event_id: newId(), user_id: this.userId, ...fields, occurred_at_ms: Date.now() };
    for (const name of Object.keys(event)) if (event[name] === undefined || event[name] === null) delete event[name];
    const kept = [...this.#load(), { topic, event }];
    this.dropped += Math.max(0, kept.length - this.most);
    this.#keep(kept.slice(-this.most));
    // After a failure the next try has its time already, which no event puts off.
    if (!this.#failures) this.#soon(0);
    return event;
  }

  #soon(ms) {
    if (this.#sending || this.#ended.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), ms);
  }

  async #sendAll() {
    let single = false;
    for (let entries = this.#load(); entries.length; entries = this.#load()) {
      const batch = entries.slice(0, single ? 1 : 100);
      try {
        await this.connection.post("/v1/events:batch", { events: batch });
        this.#remove(batch);
        single = false;
      } catch (error) {
        if (!(error instanceof LastclickError)) throw error;
        if (!error.refused) {
          this.#failures += 1;
          this.onState(this.waiting, error);
          this.#timer = setTimeout(() => this.flush(), error.retryAfterMs ?? backOffMs(this.#failures));
          return;
        }
        if (batch.length > 1) {
          single = true; // to find the one that is refused
          continue;
        }
        this.#remove(batch);
        this.onRefused(batch[0], error);
      }
    }
    this.#failures = 0;
    this.onState(0, null);
  }

  /** The page may go away: send what waits, and keep it all the same, since nobody hears of the answer. */
  #leave() {
    const entries = this.#load().slice(0, 100);
    if (!entries.length) return;
    const body = JSON.stringify({ events: entries });
    const url = `${this.connection.base}/v1/events:batch`;
    if (this.connection.key) {
      const headers = this.connection.headers({ "Content-Type": "application/json" });
      // Its answer comes after the page; the events are still in the queue.
      fetch(url, { method: "POST", headers, body, keepalive: true }).catch(() => {});
    } else {
      navigator.sendBeacon(url, new Blob([body], { type: "application/json" }));
    }
  }

  #load() {
    const text = stored("localStorage").getItem(this.store);
    return text ? JSON.parse(text) : [];
  }

  #keep(entries) {
    if (entries.length) stored("localStorage").setItem(this.store, JSON.stringify(entries));
    else stored("localStorage").removeItem(this.store);
  }

  #remove(sent) {
    const ids = new Set(sent.map((entry) => entry.event.event_id));
    this.#keep(this.#load().filter((entry) => !ids.has(entry.event.event_id)));
  }
}

/** 32 hexadecimal digits. `crypto.randomUUID` is missing on plain-HTTP pages. */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What stands in for a store that the browser refuses: events then wait for as long as the page lives. */
class Memory {
  #values = new Map();
  getItem = (name) => this.#values.get(name) ?? null;
  setItem = (name, value) => this.#values.set(name, value);
  removeItem = (name) => this.#values.delete(name);
}

const memory = { localStorage: new Memory(), sessionStorage: new Memory() };

/** @param {"localStorage"|"sessionStorage"} kind */
export function stored(kind) {
  try {
    return window[kind];
  } catch (error) {
    if (error.name !== "SecurityError") throw error; // storage is blocked for this site
    return memory[kind];
  }
}

function sessionId() {
  const [id, seen] = (stored("sessionStorage").getItem("lastclick.session") ?? "").split(" ");
  const current = id && Date.now() - Number(seen) < SESSION_PAUSE_MS ? id : newId();
  stored("sessionStorage").setItem("lastclick.session", `${current} ${Date.now()}`);
  return current;
}

/** Half a second, doubled with each failure up to half a minute, and spread so that clients don't come all at once. */
function backOffMs(failures) {
  return Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
