import { byId, setClass, setText } from "./dom.js";
import { ratesOf } from "./rates.js";
import { createView } from "./view.js";

/** Milliseconds between two looks at `/status`; between the first two, so that rates are there soon. */
const intervalMs = 2000;
const firstMs = 1000;
/** Milliseconds that the gateway has to respond. */
const patienceMs = 10_000;
/** Looks that a rate spans, so that single requests do not make it jump. */
const window = 4;

const view = createView();
/** In memory only: closing or reloading the page forgets it. */
let token;
/** The latest responses, oldest first. */
let seen = [];
let timer;
let paused = false;

async function look() {
  clearTimeout(timer);
  try {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch("/status", {
      headers,
      cache: "no-store",
      signal: AbortSignal.timeout(patienceMs),
    });
    if (response.status === 401) return ask();
    if (!response.ok) throw new Error(`it responded with ${response.status}`);
    show(await response.json());
  } catch (error) {
    const why = error.name === "TimeoutError" ? "it did not respond in time" : error.message;
    fail(`The gateway cannot be reached: ${why}. Trying again.`);
  }
  later(seen.length < 2 ? firstMs : intervalMs);
}

function later(ms) {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(look, ms);
}

function show(status) {
  // A restart begins to count anew.
  if (seen.at(-1)?.started_at !== status.started_at) seen = [];
  seen = [...seen, status].slice(-window);
  byId("notice").hidden = true;
  byId("entry").hidden = true;
  byId("status").hidden = false;
  byId("status").classList.remove("stale");
  byId("pause").hidden = false;
  view.show(
    status,
    ratesOf(status, seen.length > 1 ? seen[0] : undefined),
    seen.length > 1 ? ratesOf(status, seen.at(-2)) : undefined,
  );
}

function fail(message) {
  const notice = byId("notice");
  setText(notice, message);
  notice.hidden = false;
  byId("status").classList.add("stale");
  setText(byId("ready"), "Unreachable");
  setClass(byId("ready"), "pill bad");
}

function ask() {
  setText(byId("ready"), "Locked");
  setClass(byId("ready"), "pill quiet");
  setText(byId("refused"), token === undefined ? "" : "The token is wrong.");
  byId("notice").hidden = true;
  byId("status").hidden = true;
  byId("pause").hidden = true;
  byId("entry").hidden = false;
  byId("token").focus();
}

byId("entry").addEventListener("submit", event => {
  event.preventDefault();
  token = byId("token").value;
  byId("token").value = "";
  void look();
});

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  setText(byId("pause"), paused ? "Go on" : "Pause");
  if (!paused) void look();
  else clearTimeout(timer);
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return clearTimeout(timer);
  if (!paused && byId("entry").hidden) {
    seen = [];
    void look();
  }
});

void look();
