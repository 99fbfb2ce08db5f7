/** The operator's page: the figures of the running flow, once a second, and its dead letters. */

import { Connection, follow, stored } from "../client.js";
import { el, fill } from "../dom.js";
import { clock } from "../words.js";
import { Figures } from "./figures.js";
import { Letters } from "./letters.js";

const KEY = "lastclick.key";

const connection = new Connection({ key: stored("sessionStorage").getItem(KEY) });
const figures = new Figures();
const letters = new Letters(connection, document.getElementById("letters"), failed);
const state = document.getElementById("state");
const keyForm = document.getElementById("key");
const pause = document.getElementById("pause");
let paused = false;
let stop = () => {};
let told = "";

function tell(text, kind) {
  if (text === told) return;
  told = text;
  state.className = `state ${kind}`;
  state.textContent = text;
}

function failed(error) {
  if (error.name !== "LastclickError") throw error;
  if (error.status === 401 || error.status === 403) {
    keyForm.hidden = false;
    tell("A key is needed", "lost");
  } else tell(`No answer since ${clock(Date.now())}; these are the last figures`, "lost");
}

function start() {
  stop();
  stop = follow(connection, "/v1/operations/changes", { operations: take }, (now, error) => {
    if (now === "open") keyForm.hidden = true;
    else failed(error);
  });
  letters.load();
}

function take(operations) {
  if (paused) return;
  tell("Live", "open");
  figures.show(operations);
  letters.counted(operations.dead_letters.count);
}

keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  connection.key = new FormData(keyForm).get("key");
  stored("sessionStorage").setItem(KEY, connection.key);
  start();
});
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  fill(pause, paused ? "Go on" : "Pause");
  if (paused) tell("Paused", "paused");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
fill(document.getElementById("gauges"), el("div", {}, el("dt", {}, "Waiting for figures"), el("dd", {}, "…")));
start();
