/** Dead letters: newest first with their reasons, and a button that sends the chosen ones to their topic again. */

import { el, fill } from "../dom.js";
import { whole } from "../words.js";

const SHOWN = 50;

export class Letters {
  #chosen = new Set();
  #count = null;
  #said = el("p.note", { role: "status" });

  /**
   * @param {import("../client.js").Connection} connection
   * @param {HTMLElement} node Where they are shown.
   * @param {(error: Error) => void} failed
   */
  constructor(connection, node, failed) {
    Object.assign(this, { connection, failed });
    this.all = el("input", { type: "checkbox", "aria-label": "Choose all", onchange: () => this.#chooseAll() });
    this.button = el("button", { type: "button", disabled: true, onclick: () => this.#replay() }, "Replay");
    this.body = el("tbody");
    const head = ["Topic", "Field", "Reason", "Value"].map((name) => el("th", { scope: "col" }, name));
    fill(
      node,
      el("div.actions", {}, this.button, el("button.ghost", { type: "button", onclick: () => this.load() }, "Refresh"), this.#said),
      el("div.scroll", { tabindex: "0", role: "group", "aria-label": "Dead letters, newest first" }, el("table", {}, el("thead", {}, el("tr", {}, el("td", {}, this.all), head)), this.body)),
    );
  }

  /** There are so many now: read them when that has changed and nobody is choosing. */
  counted(count) {
    if (count === this.#count) return;
    this.#count = count;
    if (!this.#chosen.size) this.load();
  }

  async load() {
    try {
      const document = await this.connection.get("/v1/dead-letters", { limit: SHOWN });
      this.#show(document.letters);
    } catch (error) {
      this.failed(error);
    }
  }

  #show(letters) {
    this.letters = letters;
    const there = new Set(letters.map(placeOf));
    for (const place of this.#chosen) if (!there.has(place)) this.#chosen.delete(place);
    fill(this.body, letters.length ? letters.map((letter) => this.#row(letter)) : el("tr", {}, el("td", { colspan: "5" }, "None: every record kept the contract.")));
    this.#mark();
  }

  #row(letter) {
    const place = placeOf(letter);
    const choose = el("input", { type: "checkbox", "data-place": place, checked: this.#chosen.has(place), "aria-label": `Choose the letter ${place} of ${letter.topic}` });
    choose.addEventListener("change", () => {
      if (choose.checked) this.#chosen.add(place);
      else this.#chosen.delete(place);
      this.#mark();
    });
    return el(
      "tr",
      {},
      el("td", {}, choose),
      el("th", { scope: "row" }, letter.topic),
      el("td", {}, el("code", {}, letter.field)),
      el("td", {}, letter.reason),
      el("td.value", {}, el("details", {}, el("summary", {}, place), el("code", {}, letter.value ?? "nothing"))),
    );
  }

  #chooseAll() {
    this.#chosen = new Set(this.all.checked ? this.letters.map(placeOf) : []);
    for (const box of this.body.querySelectorAll("input")) box.checked = this.all.checked;
    this.#mark();
  }

  #mark() {
    this.button.disabled = this.#chosen.size === 0;
    this.button.textContent = this.#chosen.size ? `Replay ${whole(this.#chosen.size)}` : "Replay";
    this.all.checked = this.letters.length > 0 && this.#chosen.size === this.letters.length;
  }

  async #replay() {
    const letters = this.letters.filter((letter) => this.#chosen.has(placeOf(letter))).map(({ partition, offset }) => ({ partition, offset }));
    try {
      await this.connection.post("/v1/dead-letters:replay", { letters });
      this.#said.textContent = `Sent again: ${whole(letters.length)}. What still breaks the contract comes back.`;
      this.#chosen.clear();
      await this.load();
    } catch (error) {
      this.#said.textContent = `Nothing was sent: ${error.message}`;
      this.failed(error);
    }
  }
}

const placeOf = ({ partition, offset }) => `${partition}:${offset}`;
