"use strict"; // Single keys on the worklist. Everything they do, links and fields reached by Tab do, too.
{
  const dialog = document.getElementById("keys");
  const opener = document.getElementById("keys-open");
  const choice = document.getElementById("keys-on");
  const STORED = "scanside_keys";
  const rows = () => Array.from(document.querySelectorAll("a[data-row]"));
  const follow = (id) => { const link = document.getElementById(id); if (link) link.click(); };

  function step(by) {
    const all = rows();
    const here = all.indexOf(document.activeElement);
    const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : here + by];
    if (!next) return;
    next.focus({ preventScroll: true });
    (next.closest("li") || next).scrollIntoView({ block: "nearest" });
  }

  const actions = {
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    n: () => follow("page-on"), p: () => follow("page-back"),
    "/": () => { const field = document.getElementById("search"); field.focus(); field.select(); },
    "?": () => dialog.showModal(),
  };

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open || !choice.checked) return;
    const field = event.target.closest("input, select, textarea, [contenteditable]");
    if (field && event.key === "Escape") { field.blur(); return; }
    const row = document.activeElement && document.activeElement.matches("a[data-row]");
    if (field || (event.key.startsWith("Arrow") && !row)) return; // arrows scroll until a study is chosen
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  try { choice.checked = localStorage.getItem(STORED) !== "off"; } catch { /* a browser that keeps nothing */ }
  choice.addEventListener("change", () => {
    try { localStorage.setItem(STORED, choice.checked ? "on" : "off"); } catch { /* then for this page only */ }
  });
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", pressed);
}
