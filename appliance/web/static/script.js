"use strict"; // The server sends a digest when the state changes; the page's fragment is then fetched, and what differs is changed.
const main = document.querySelector("main[data-fragment]");
const stale = document.getElementById("stale");
const patience = 25000; // the server repeats itself every 10 s
let shown = main ? main.dataset.digest : "";
let wanted = shown;
let heard = Date.now();
let waitingSince = heard; // of the present stream: a page that comes to the front again is not stale before it has asked
let fetching = false;
let stream = null;

function live() {
  heard = waitingSince = Date.now();
  stale.hidden = true;
}

function broken() {
  if (!stale.hidden) return;
  const time = new Date(heard).toLocaleTimeString(document.documentElement.lang, { hourCycle: "h23" });
  stale.textContent = stale.dataset.words.replace("{time}", time);
  stale.hidden = false;
}

// What a person has done to the page stays: what is open, typed, ticked or chosen, and all inside of data-keep.
function mayChange(name, node) {
  if (name === "open") return false;
  if (name === "value" && "defaultValue" in node) return node.value === node.defaultValue;
  if (name === "checked") return node.checked === node.defaultChecked;
  if (name === "selected") return !chosen(node.closest("select"));
  return true;
}

function chosen(select) {
  const standing = Array.from(select.options).findIndex((option) => option.defaultSelected);
  return select.selectedIndex !== Math.max(standing, 0);
}

function swap(html) {
  const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
  Idiomorph.morph(main, html, {
    morphStyle: "innerHTML",
    callbacks: {
      beforeNodeMorphed: (node) => !(node.dataset && "keep" in node.dataset),
      beforeAttributeUpdated: mayChange,
    },
  });
  const again = focused && document.getElementById(focused);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  const title = main.querySelector("[data-title]");
  if (title) document.title = title.dataset.title;
  document.dispatchEvent(new Event("swapped"));
}

async function refresh(digest) {
  wanted = digest;
  if (fetching) return;
  fetching = true;
  try {
    while (wanted !== shown && stream) {
      const digestNow = wanted;
      const answer = await fetch(main.dataset.fragment, { cache: "no-store" });
      if (answer.status === 401) return location.reload(); // nobody is signed in any more: the server says where to
      if (!answer.ok) throw new Error(String(answer.status));
      swap(await answer.text());
      shown = digestNow;
    }
    if (stream) live();
  } catch {
    broken();
  } finally {
    fetching = false;
  }
}

function listen() {
  if (stream || document.hidden) return;
  const mine = new EventSource("/events");
  stream = mine;
  waitingSince = Date.now();
  mine.addEventListener("state", (event) => (event.data === shown ? live() : refresh(event.data)));
  mine.addEventListener("signed_out", () => location.reload());
  mine.addEventListener("error", () => {
    if (stream !== mine) return;
    broken();
    if (mine.readyState !== EventSource.CLOSED) return; // it comes back by itself
    stream = null; // refused: it does not
    setTimeout(listen, 5000);
    fetch(main.dataset.fragment).then((answer) => { if (answer.status === 401) location.reload(); }, () => {});
  });
}

function hush() {
  if (!stream) return;
  stream.close();
  stream = null;
}

if (main) {
  listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  setInterval(() => { if (stream && Date.now() - waitingSince > patience) broken(); }, 1000);
}
