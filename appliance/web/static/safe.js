"use strict"; // The page of safe mode loads itself anew when the box has started, or when something else is wrong.
let shown = null;

async function look() {
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    const said = await answer.text();
    if (shown !== null && said !== shown) location.reload();
    shown = said;
  } catch {
    shown = ""; // it is starting: the next answer is another one
  }
}

look();
setInterval(look, 2000);
