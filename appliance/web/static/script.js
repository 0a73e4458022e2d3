"use strict"; // The server sends a digest when the state changes; the page's fragment is then fetched and swapped.
const main = document.querySelector("main[data-fragment]");
const stale = document.getElementById("stale");
const patience = 25000; // the server repeats itself every 10 s
let shown = main ? main.dataset.digest : "";
let heard = Date.now();
let fetching = false;

function live() {
  heard = Date.now();
  stale.hidden = true;
}

function broken() {
  if (!stale.hidden) return;
  const time = new Date(heard).toLocaleTimeString(document.documentElement.lang, { hourCycle: "h23" });
  stale.textContent = stale.dataset.words.replace("{time}", time);
  stale.hidden = false;
}

function swap(html) {
  const opened = Array.from(main.querySelectorAll("details[open][id]"), (one) => one.id);
  const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
  const parsed = new DOMParser().parseFromString(html, "text/html");
  main.replaceChildren(...parsed.body.childNodes);
  opened.map((id) => document.getElementById(id)).forEach((one) => { if (one) one.open = true; });
  const again = focused && document.getElementById(focused);
  if (again) again.focus({ preventScroll: true });
  const title = main.querySelector("[data-title]");
  if (title) document.title = title.dataset.title;
}

async function refresh(digest) {
  if (fetching || digest === shown) return;
  fetching = true;
  try {
    const answer = await fetch(main.dataset.fragment, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    swap(await answer.text());
    shown = digest;
    live();
  } catch {
    broken();
  } finally {
    fetching = false;
  }
}

function listen() {
  const stream = new EventSource("/events");
  stream.addEventListener("state", (event) => (event.data === shown ? live() : refresh(event.data)));
  stream.addEventListener("error", () => {
    broken();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000); // refused: it does not retry by itself
  });
}

if (main) {
  listen();
  setInterval(() => { if (Date.now() - heard > patience) broken(); }, 1000);
}
