/** The shop page: the address after # names a view; header, drawer, switcher and ticker stay. */

import { el, fill } from "../dom.js";
import { clock, whole } from "../words.js";
import { cart } from "./cart.js";
import { drawer } from "./drawer.js";
import { home } from "./home.js";
import { product } from "./product.js";
import { Session } from "./session.js";
import { search, shelf } from "./shelves.js";
import { switcher } from "./switcher.js";
import { ticker } from "./ticker.js";

const session = new Session();
const main = document.getElementById("main");
let leaving = new AbortController();

function viewOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const argument = decodeURIComponent(rest.join("/"));
  const { signal } = leaving;
  if (name === "item") return product(session, signal, argument);
  if (name === "category" || name === "brand") return shelf(session, signal, name, argument);
  if (name === "search") return search(session, signal, new URLSearchParams(query).get("q") ?? "");
  if (name === "cart") return cart(session, signal);
  return home(session, signal);
}

async function open(first) {
  leaving.abort();
  const { signal } = (leaving = new AbortController());
  main.setAttribute("aria-busy", "true");
  let view;
  try {
    view = await viewOf(location.hash);
  } catch (error) {
    if (signal.aborted) return;
    session.failed(error);
    view = { title: "Not to be had", node: failure(error) };
  }
  if (signal.aborted) return;
  fill(main, view.node);
  main.removeAttribute("aria-busy");
  document.title = `${view.title} - Lastclick shop (demo)`;
  markCurrent();
  if (first) return;
  scrollTo({ top: 0 });
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function failure(error) {
  const why = error.status === 404 ? "The shop has no such page or item." : "The shop's server did not answer.";
  return el(
    "div.view",
    {},
    el("h1", { tabindex: "-1" }, why),
    el("p", {}, error.problem?.detail ?? error.message),
    el("div.actions", {}, el("button", { type: "button", onclick: () => open() }, "Try again"), el("a", { href: "#/" }, "To the front page")),
  );
}

async function showCategories() {
  try {
    const { categories } = await session.lists.categories();
    const links = categories.map(({ category, items }) =>
      el("li", {}, el("a", { href: `#/category/${encodeURIComponent(category)}` }, category, el("span.count", { "aria-label": `, ${whole(items)} items` }, whole(items)))),
    );
    fill(document.getElementById("categories"), el("ul", {}, el("li", {}, el("a", { href: "#/" }, "For you")), links));
    markCurrent();
  } catch (error) {
    session.failed(error);
  }
}

function markCurrent() {
  const here = location.hash || "#/";
  for (const link of document.querySelectorAll("#categories a, #cart")) {
    if (link.getAttribute("href") === here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showCart() {
  const count = [...session.cart.values()].reduce((sum, { quantity }) => sum + quantity, 0);
  fill(document.getElementById("cart"), "Cart", el("span.count", { "aria-label": `, ${whole(count)} items` }, whole(count)));
}

function showReach() {
  const { unreachedSince: since, heldSince, tracker } = session;
  const kept = tracker.unkept ? "kept for as long as this page is open (the browser has no room for them), and sent later" : "kept and sent later";
  document.getElementById("lost").textContent =
    since !== null
      ? `The server has not answered since ${clock(since)}. These are the last lists; your clicks are ${kept}.`
      : heldSince !== null
        ? `The shop can't take your clicks since ${clock(heldSince)}. They are ${kept}.`
        : "";
  if (since === null && !document.querySelector("#categories ul")) showCategories();
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new FormData(event.target).get("query").trim();
  if (query) location.hash = `#/search?q=${encodeURIComponent(query)}`;
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => open());
for (const name of ["shopper", "acted", "profile"]) session.addEventListener(name, showCart);
session.addEventListener("locked", () => fill(document.getElementById("lost"), "This API wants a key. ", el("a", { href: "/operate" }, "Give one on the operator's page"), ", in this tab."));
for (const name of ["reached", "unreached", "held"]) session.addEventListener(name, showReach);
session.addEventListener("shopper", () => /^#\/(category|brand)\//.test(location.hash) && open());

const moving = ticker(session);
drawer(session);
switcher(session, moving);
session.start();
showCategories();
open(true);
