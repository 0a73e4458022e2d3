// The picture itself: a stack viewport of Cornerstone3D, and what may be done with it.
import { cache, Enums, getRenderingEngine, imageLoader, init, RenderingEngine } from "@cornerstonejs/core";
import { isColour, nameOf, registerLoader, sidesOf } from "./images.js";

const ENGINE = "study", VIEW = "image";
const MOST_BYTES = 768 * 1024 * 1024;
const AHEAD = 6;
const LEAST_ZOOM = 0.05, MOST_ZOOM = 60;

export class View {
  /** Starts the renderer in `element`; `drawn` is called whenever the picture or its place has changed. */
  static async start(element, drawn) {
    init();
    registerLoader();
    cache.setMaxCacheSize(MOST_BYTES);
    const engine = new RenderingEngine(ENGINE);
    engine.enableElement({ viewportId: VIEW, element, type: Enums.ViewportType.STACK });
    return new View(engine, element, drawn);
  }

  constructor(engine, element, drawn) {
    this.viewport = engine.getViewport(VIEW);
    this.frames = [];
    this.index = 0;
    this.lut = null;
    this.range = null; // of values, when a person or a preset has chosen one; null: each image by itself
    this.turned = false;
    this.turn = 0;
    for (const name of [Enums.Events.IMAGE_RENDERED, Enums.Events.CAMERA_MODIFIED]) element.addEventListener(name, drawn);
    new ResizeObserver(() => getRenderingEngine(ENGINE)?.resize(true, true)).observe(element);
  }

  get frame() { return this.frames[this.index]; }

  /** Show one of `frames`, each as its header says. */
  async open(frames, index) {
    this.frames = frames;
    this.lut = frames[index].windows.length === 0 && frames[index].voi_luts.length ? 0 : null;
    this.range = null;
    this.turned = false;
    await this.load(index);
  }

  async load(index) {
    const turn = ++this.turn;
    await this.viewport.setStack(this.frames.map((one) => nameOf(one, this.lut)), index);
    if (turn !== this.turn) return;
    this.index = index;
    this.apply();
    this.prepare(turn);
  }

  async scroll(index) {
    const to = Math.min(Math.max(index, 0), this.frames.length - 1);
    if (to === this.index) return;
    const turn = ++this.turn;
    this.index = to;
    await this.viewport.setImageIdIndex(to);
    if (turn !== this.turn) return;
    this.apply();
    this.prepare(turn);
  }

  /** Fetch the neighbours, the nearest first, while nobody asks for anything else. */
  async prepare(turn) {
    for (let away = 1; away <= AHEAD; away++) {
      for (const index of [this.index + away, this.index - away]) {
        if (turn !== this.turn) return;
        if (this.frames[index]) await imageLoader.loadAndCacheImage(nameOf(this.frames[index], this.lut)).catch(() => null);
      }
    }
  }

  get image() { return this.viewport.getCornerstoneImage(); }

  apply() {
    if (!this.image) return;
    const colour = isColour(this.frame), first = this.frame.windows[0];
    const own = this.lut !== null || !first ? this.image.spread : rangeOf(first);
    const range = this.range ?? (colour ? { low: 0, high: 255 } : own);
    const sigmoid = this.lut === null && this.frame.voi_lut_function === "SIGMOID" && this.range === null && first;
    this.viewport.setProperties({
      voiRange: { lower: range.low, upper: range.high },
      VOILUTFunction: sigmoid ? Enums.VOILUTFunctionType.SIGMOID : Enums.VOILUTFunctionType.LINEAR,
      invert: (this.frame.photometric_interpretation === "MONOCHROME1") !== this.turned,
    });
    this.viewport.render();
  }

  /** The values that are drawn black and white at present. */
  get shown() {
    const { lower, upper } = this.viewport.getProperties().voiRange ?? { lower: 0, upper: 255 };
    return { low: lower, high: upper };
  }

  window(low, high) {
    this.range = { low, high: Math.max(high, low + 1e-3) };
    this.apply();
  }

  /** Move the window by parts of the values the image has. */
  nudge(center, width) {
    const { low, high } = this.shown;
    const all = Math.max(this.image.maxPixelValue - this.image.minPixelValue, 1);
    const middle = (low + high) / 2 + center * all, half = Math.max((high - low) / 2 + (width * all) / 2, all / 8192);
    this.window(middle - half, middle + half);
  }

  async preset(preset) {
    this.range = preset.window ? rangeOf(preset.window) : preset.all ? { low: this.image.minPixelValue, high: this.image.maxPixelValue } : null;
    const lut = preset.lut ?? null;
    if (preset.spread) this.range = this.image.spread;
    if (lut === this.lut) return this.apply();
    this.lut = lut;
    await this.load(this.index);
    if (preset.spread) { this.range = this.image.spread; this.apply(); }
  }

  invert() { this.turned = !this.turned; this.apply(); }

  get zoom() { return this.viewport.getZoom(); }

  /** Zoom by a factor; what lies at `at`, in CSS pixels of the view, stays where it is. */
  zoomBy(factor, at = null) {
    const zoom = Math.min(Math.max(this.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
    const world = at && this.viewport.canvasToWorld(at);
    this.viewport.setZoom(zoom);
    if (world) {
      const now = this.viewport.worldToCanvas(world);
      this.panBy(at[0] - now[0], at[1] - now[1]);
    }
    this.viewport.render();
  }

  panBy(dx, dy) {
    const [x, y] = this.viewport.getPan();
    this.viewport.setPan([x + dx, y + dy]);
    this.viewport.render();
  }

  fit() { this.viewport.resetCamera(); this.viewport.render(); }

  /** One pixel of the image on one pixel of the screen. */
  actual() {
    const [a, b] = [this.place([0, 0]), this.place([1, 0])];
    this.zoomBy(1 / (Math.hypot(b[0] - a[0], b[1] - a[1]) * window.devicePixelRatio));
  }

  async reset() {
    this.turned = false;
    this.fit();
    await this.preset({ lut: this.frame.windows.length === 0 && this.frame.voi_luts.length ? 0 : null });
  }

  /** Where a point of the image (column, row; whole numbers are the middles of pixels) lies in the view, CSS pixels. */
  place([column, row]) {
    const [height, width] = sidesOf(this.frame);
    return this.viewport.worldToCanvas([column * width, row * height, 0]);
  }

  /** The point of the image at a place in the view. */
  point(at) {
    const [height, width] = sidesOf(this.frame), world = this.viewport.canvasToWorld(at);
    return [world[0] / width, world[1] / height];
  }
}

/** Window Center and Width as the values that become black and white (PS3.3 C.11.2.1.2.1). */
export function rangeOf({ center, width }) {
  const half = Math.max(width - 1, 1e-3) / 2;
  return { low: center - 0.5 - half, high: center - 0.5 + half };
}

/** The same the other way round, for people. */
export function windowOf({ low, high }) {
  return { center: (low + high + 1) / 2, width: high - low + 1 };
}
