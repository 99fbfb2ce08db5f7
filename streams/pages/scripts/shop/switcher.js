/** Who shops: a new shopper, one of those that move now, or any by id. */

import { el, fill } from "../dom.js";
import { newShopper } from "./session.js";
import { say } from "./voice.js";

/**
 * @param {import("./session.js").Session} session
 * @param {{recent: () => string[]}} moving Shoppers whose lists changed lately.
 */
export function switcher(session, moving) {
  const dialog = document.getElementById("switcher");
  const button = document.getElementById("who");
  const show = () => fill(button, el("span.hidden", {}, "Shopper: "), isNew(session.userId) ? "New shopper" : session.userId);

  function become(userId) {
    dialog.close();
    session.become(userId);
    say(`You shop as ${userId} now.`);
  }

  function open() {
    const others = moving.recent();
    const id = el("input", { id: "shopper-id", name: "id", required: true, maxlength: "256", autocomplete: "off", value: session.userId });
    const go = (event) => {
      event.preventDefault();
      become(id.value);
    };
    fill(
      dialog,
      el("div.head", {}, el("h2", { id: "switcher-title" }, "Who shops?"), el("button.ghost", { type: "button", onclick: () => dialog.close() }, "Close")),
      el("p", {}, "Lists belong to a shopper. Be a new one, of whom nothing is known, or step into the shoes of a simulated one."),
      el("button", { type: "button", onclick: () => become(newShopper()) }, "Be a new shopper"),
      el("h3", {}, "Shopping now"),
      others.length
        ? el("ul.others", {}, others.map((userId) => el("li", {}, el("button.ghost", { type: "button", onclick: () => become(userId) }, userId))))
        : el("p.quiet", {}, "Nobody else moves now. Start a replay or the demo, and they appear."),
      el("form", { onsubmit: go }, el("label", { for: "shopper-id" }, "Or the id of any shopper"), el("div.pair", {}, id, el("button.ghost", { type: "submit" }, "Be this one"))),
    );
    dialog.showModal();
  }

  button.addEventListener("click", open);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  session.addEventListener("shopper", show);
}

const isNew = (userId) => userId.startsWith("visitor-");
