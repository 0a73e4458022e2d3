// Mouse, pen, touch and keys. Every key works only while the picture has the focus.
const KEYS_PAN = 24, KEYS_ZOOM = 1.2, KEYS_WINDOW = 0.02;

export function bindPointers(stage, view, measures, mode) {
  const held = new Map();
  let doing = "", last = null;
  const at = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

  stage.addEventListener("pointerdown", (event) => {
    stage.focus({ preventScroll: true });
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    held.set(event.pointerId, at(event));
    last = at(event);
    if (held.size === 2) { measures.finish(); doing = "pinch"; return; }
    doing = event.button === 1 || event.shiftKey ? "pan" : event.button === 2 || event.ctrlKey ? "zoom" : mode();
    if (doing === "measure" && !measures.grab(last)) measures.begin(view.point(last));
  });

  stage.addEventListener("pointermove", (event) => {
    if (!held.has(event.pointerId)) return;
    const before = [...held.values()], now = at(event);
    held.set(event.pointerId, now);
    if (doing === "pinch") return pinch(before, [...held.values()]);
    const dx = now[0] - last[0], dy = now[1] - last[1];
    last = now;
    const size = Math.min(stage.clientWidth, stage.clientHeight);
    if (doing === "window") view.nudge(dy / size, dx / size);
    else if (doing === "pan") view.panBy(dx, dy);
    else if (doing === "zoom") view.zoomBy(1.01 ** -dy);
    else if (doing === "scroll") view.scroll(view.index + Math.sign(dy));
    else if (doing === "measure") measures.move(view.point(now));
  });

  const pinch = (before, now) => {
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const from = middle(before), to = middle(now);
    view.zoomBy(apart(now) / Math.max(apart(before), 1), to);
    view.panBy(to[0] - from[0], to[1] - from[1]);
  };

  const up = (event) => {
    held.delete(event.pointerId);
    if (doing === "measure") measures.finish();
    if (held.size === 0) doing = "";
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || view.frames.length === 1) view.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, at(event));
    else view.scroll(view.index + Math.sign(event.deltaY));
  }, { passive: false });
}

export function bindKeys(stage, view, measures, nextPreset) {
  const step = (event) => (event.shiftKey ? 10 : 1);
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const middle = () => view.point([stage.clientWidth / 2, stage.clientHeight / 2]);
  const keys = {
    "+": () => view.zoomBy(KEYS_ZOOM), "=": () => view.zoomBy(KEYS_ZOOM), "-": () => view.zoomBy(1 / KEYS_ZOOM),
    "[": () => view.nudge(0, -KEYS_WINDOW), "]": () => view.nudge(0, KEYS_WINDOW),
    ",": () => view.nudge(-KEYS_WINDOW, 0), ".": () => view.nudge(KEYS_WINDOW, 0),
    i: () => view.invert(), r: () => view.reset(), f: () => view.fit(), 1: () => view.actual(), p: nextPreset,
    PageUp: () => view.scroll(view.index - 1), PageDown: () => view.scroll(view.index + 1),
    Home: () => view.scroll(0), End: () => view.scroll(view.frames.length - 1),
    m: () => { const [x, y] = middle(); measures.begin([x - 10, y], [x + 10, y]); },
    x: () => { measures.end = 1 - measures.end; measures.draw(); },
    Delete: () => measures.remove(), Backspace: () => measures.remove(),
    Enter: () => { measures.active = null; measures.draw(); }, Escape: () => { measures.active = null; measures.draw(); },
  };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const arrow = way[event.key];
    const act = arrow ? () => arrowed(arrow, event) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  const arrowed = ([dx, dy], event) => {
    if (measures.active) measures.nudge(dx * step(event), dy * step(event));
    else if (event.shiftKey) view.panBy(dx * KEYS_PAN, dy * KEYS_PAN);
    else view.scroll(view.index + dx + dy);
  };
}
