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

/** Longer than the API itself waits for the broker (5 s): its answer says more than none. */
const TIMEOUT_MS = 10_000;
const SESSION_PAUSE_MS = 30 * 60_000;
/** A stream that stays silent for longer is taken to be dead: the server sends a comment every 15 s. */
const SILENCE_MS = 40_000;
const BATCH_MOST = 100;
/** What a browser sends for a page that goes away is 64 KiB at most, all requests together. */
const LEAVING_BYTES = 64_000;
const LEAVING_BATCH_BYTES = 16_000;

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
      // Whether the rest would have said yes is not known.
      if (answer.ok) throw new LastclickError(`${path}: ${answer.status}, and an answer that is cut off or no JSON (${error.message})`, 0);
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

  /** Why an item is, or is not, in a user's list. */
  explanation(userId, itemId, options = {}) {
    return this.connection.get(`/v1/users/${encodeURIComponent(userId)}/items/${encodeURIComponent(itemId)}/explanation`, {}, options);
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
 * The tabs of an origin share a stream: a browser opens no more than six connections to a host. One tab reads and tells
 * the others; when it is closed or hidden, the next one reads on. A hidden tab follows nothing, and hears "open" when it
 * is seen again. Where the browser has no locks (plain HTTP, but for localhost) each tab reads by itself.
 *
 * @param {Connection} connection
 * @param {string} path
 * @param {Record<string, (data: any) => void>} handlers By event name.
 * @param {(state: "open"|"lost", error?: LastclickError) => void} onState
 * @returns {() => void} Ends it.
 */
export function follow(connection, path, handlers, onState = () => {}) {
  const ended = new AbortController();
  const read = navigator.locks ? readTogether : readOn;
  let seen = new AbortController();
  const take = ({ event, data, state, error }) => {
    // By itself, so that a fault of a handler is not taken for one of the stream.
    queueMicrotask(() => {
      if (ended.signal.aborted) return;
      if (state) onState(state, error && new LastclickError(error.message, error.status, error.problem, error.retryAfterMs));
      else handlers[event]?.(data);
    });
  };
  const look = () => {
    seen.abort();
    seen = new AbortController();
    if (document.visibilityState === "visible") read(connection, path, seen.signal, take);
  };
  document.addEventListener("visibilitychange", look, { signal: ended.signal });
  look();
  return () => (ended.abort(), seen.abort());
}

/** Read a stream for all tabs, or hear from the one that does. */
async function readTogether(connection, path, signal, take) {
  const name = `lastclick ${connection.base}${path} ${await fingerprint(connection.key)}`;
  if (signal.aborted) return;
  const me = newId();
  const channel = new BroadcastChannel(name);
  let told = null; // the stream's state, while this tab reads it
  channel.onmessage = ({ data: message }) => {
    if (message.ask && told) channel.postMessage({ ...told, to: message.ask });
    else if (!message.ask && (message.to ?? me) === me) take(message);
  };
  signal.addEventListener("abort", () => channel.close());
  channel.postMessage({ ask: me });
  const tell = (message) => {
    if (signal.aborted) return;
    if (message.state) told = message;
    take(message);
    channel.postMessage(message);
  };
  try {
    await navigator.locks.request(name, { signal }, () => readOn(connection, path, signal, tell));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  told = null;
}

/** Tabs with other keys share nothing, and no key stands in a name. */
async function fingerprint(key) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key ?? ""));
  return hex(new Uint8Array(digest));
}

/** Read a stream, over and over, until `signal` or a refusal. */
async function readOn(connection, path, signal, tell) {
  for (let failures = 0; !signal.aborted; ) {
    let lost;
    try {
      await readStream(connection, path, tell, signal, () => {
        failures = 0;
        tell({ state: "open" });
      });
      lost = new LastclickError(`${path}: the stream ended`, 0);
    } catch (error) {
      lost = error instanceof LastclickError ? error : new LastclickError(`${path}: ${error.message}`, 0);
    }
    if (signal.aborted) return;
    const { message, status, problem, retryAfterMs } = lost;
    tell({ state: "lost", error: { message, status, problem, retryAfterMs } });
    // A refusal stays one: an unknown path, a missing scope.
    if (status >= 400 && status < 500 && status !== 429) return;
    await pause(retryAfterMs ?? backOffMs(failures++), signal);
  }
}

async function readStream(connection, path, tell, signal, onOpen) {
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
      blocks.forEach((block) => dispatch(block, tell));
    }
  } finally {
    clearTimeout(watch);
  }
}

function dispatch(block, tell) {
  let event = "message";
  const data = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const [, field, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  if (data.length) tell({ event, data: JSON.parse(data.join("\n")) });
}

/**
 * Sends a shopper's events, and keeps them in the browser until the broker has them.
 *
 * Event ids are made here, so an event that is sent twice counts once. What can't be sent waits in localStorage, over
 * reloads, and is tried again with growing pauses; what is left when the page goes away is sent by beacons as well.
 * What localStorage has no room for waits in memory, for as long as the page lives.
 */
export class Tracker {
  #timer = null;
  #sending = null;
  #failures = 0;
  #unkept = [];
  #told = false;
  #ended = new AbortController();

  /**
   * @param {Connection} connection
   * @param {string} userId
   * @param {object} options
   * @param {number} [options.most] Events kept at most; beyond, the oldest are dropped and counted in `dropped`.
   * @param {string} [options.store] Key in localStorage.
   * @param {(waiting: number, error: LastclickError|null) => void} [options.onState] After every try.
   * @param {(entry: object, error: LastclickError) => void} [options.onRefused] An event that breaks the contract.
   * @param {(error: DOMException) => void} [options.onUnkept] Called once, when events can wait in memory alone:
   *   storage is full, or blocked for this site. Without it, the console says so.
   */
  constructor(connection, userId, { most = 1000, store = "lastclick.events", onState = () => {}, onRefused = () => {}, onUnkept = warnUnkept } = {}) {
    Object.assign(this, { connection, userId, most, store, onState, onRefused, onUnkept });
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

  /** Those of them that do not outlive the page. */
  get unkept() {
    return this.#unkept.length;
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
    this.#sending ??= this.#sendAll()
      .finally(() => (this.#sending = null))
      .then((pauseMs) => (pauseMs !== null || this.waiting) && this.#soon(pauseMs ?? 0));
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
    this.#keep({ topic, event });
    // After a failure the next try has its time already, which no event puts off.
    if (!this.#failures) this.#soon(0);
    return event;
  }

  #soon(ms) {
    if (this.#sending || this.#ended.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), ms);
  }

  /** Send until nothing waits. @returns {Promise<number|null>} Milliseconds until the next try, when one has failed. */
  async #sendAll() {
    let single = false;
    for (let entries = this.#load(); entries.length; entries = this.#load()) {
      const batch = entries.slice(0, single ? 1 : BATCH_MOST);
      try {
        await this.connection.post("/v1/events:batch", { events: batch });
        this.#remove(batch);
        single = false;
      } catch (error) {
        if (!(error instanceof LastclickError)) throw error;
        if (!error.refused) {
          this.#failures += 1;
          this.onState(this.waiting, error);
          return error.retryAfterMs ?? backOffMs(this.#failures);
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
    return null;
  }

  /**
   * The page may go away: send what waits, and keep it all the same, since nobody hears of the answer.
   *
   * Oldest first and in small requests, as much as a browser takes: it refuses a request that is too large as a whole.
   */
  #leave() {
    const url = `${this.connection.base}/v1/events:batch`;
    for (const body of bodies(this.#load())) {
      if (this.connection.key) {
        // A beacon cannot carry a key.
        const headers = this.connection.headers({ "Content-Type": "application/json" });
        // Its answer comes after the page; the events are still in the queue.
        fetch(url, { method: "POST", headers, body, keepalive: true }).catch(() => {});
      } else if (!navigator.sendBeacon(url, body)) return;
    }
  }

  #load() {
    return [...this.#kept(), ...this.#unkept];
  }

  #kept() {
    const text = stored("localStorage").getItem(this.store);
    return text ? JSON.parse(text) : [];
  }

  #keep(entry) {
    const tooMany = Math.max(0, this.waiting + 1 - this.most);
    if (tooMany) this.#remove(this.#load().slice(0, tooMany));
    this.dropped += tooMany;
    const refusal = this.#write([...this.#kept(), entry]);
    if (!refusal) return;
    this.#unkept.push(entry);
    if (!this.#told) this.onUnkept(refusal);
    this.#told = true;
  }

  /** @returns {DOMException|null} Why the browser does not keep them; it then has what it had. */
  #write(entries) {
    if (entries.length) return stored("localStorage").keep(this.store, JSON.stringify(entries));
    stored("localStorage").removeItem(this.store);
    return null;
  }

  #remove(sent) {
    const ids = new Set(sent.map((entry) => entry.event.event_id));
    const left = (entries) => entries.filter((entry) => !ids.has(entry.event.event_id));
    this.#unkept = left(this.#unkept);
    const kept = this.#kept();
    if (left(kept).length < kept.length) this.#write(left(kept));
  }
}

/** Bodies of requests that together are no larger than what a browser sends for a page that goes away. */
function bodies(entries) {
  const batches = [];
  let batch = null;
  let left = LEAVING_BYTES;
  for (const text of entries.map((entry) => JSON.stringify(entry))) {
    const bytes = new TextEncoder().encode(text).length + 1;
    if (bytes > left) continue;
    if (!batch || batch.bytes + bytes > LEAVING_BATCH_BYTES) batches.push((batch = { bytes: 0, texts: [] }));
    batch.texts.push(text);
    batch.bytes += bytes;
    left -= bytes;
  }
  return batches.map(({ texts }) => new Blob([`{"events":[${texts.join()}]}`], { type: "application/json" }));
}

function warnUnkept(error) {
  console.warn(`The browser does not keep events (${error.name}): they wait for as long as this page is open.`);
}

/** 32 hexadecimal digits. `crypto.randomUUID` is missing on plain-HTTP pages. */
export const newId = () => hex(crypto.getRandomValues(new Uint8Array(16)));
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** A store of the browser; what it has no room for, or is not allowed to keep, stays for as long as the page lives. */
class Store {
  #memory = new Map();

  /** @param {"localStorage"|"sessionStorage"} kind */
  constructor(kind) {
    this.kind = kind;
  }

  getItem(name) {
    return this.#memory.get(name) ?? this.#inBrowser((browser) => browser.getItem(name)).value ?? null;
  }

  setItem(name, value) {
    if (this.keep(name, value)) this.#memory.set(name, value);
  }

  /** Keep it in the browser, or not at all. @returns {DOMException|null} Why the browser does not. */
  keep(name, value) {
    const { refusal = null } = this.#inBrowser((browser) => browser.setItem(name, value));
    if (!refusal) this.#memory.delete(name);
    return refusal;
  }

  removeItem(name) {
    this.#memory.delete(name);
    this.#inBrowser((browser) => browser.removeItem(name));
  }

  #inBrowser(act) {
    try {
      return { value: act(window[this.kind]) };
    } catch (refusal) {
      // Blocked for this site, or full.
      if (!["SecurityError", "QuotaExceededError"].includes(refusal.name)) throw refusal;
      return { refusal };
    }
  }
}

const stores = { localStorage: new Store("localStorage"), sessionStorage: new Store("sessionStorage") };

/** @param {"localStorage"|"sessionStorage"} kind */
export const stored = (kind) => stores[kind];

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
