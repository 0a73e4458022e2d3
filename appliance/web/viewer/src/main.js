// The study page's viewer. Without it, or where it cannot start, the box's own picture stays.
import { bindKeys, bindPointers } from "./hands.js";
import { isColour } from "./images.js";
import { Layer } from "./layer.js";
import { Measures } from "./measure.js";
import { View, windowOf } from "./view.js";

const figure = document.getElementById("viewer");
const part = (name) => document.getElementById(`viewer-${name}`);

async function listed() {
  const answer = await fetch(figure.dataset.images, { cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const study = await answer.json();
  return { ...study, series: study.series.filter((one) => one.images.length) };
}

async function start() {
  const words = JSON.parse(figure.dataset.words);
  let { series, layer: described, lost, unread } = await listed();
  if (!series.length) return;

  figure.classList.add("started");
  const stage = part("stage");
  let measures, layer;
  const drawn = () => { tell(); layer?.draw(); measures?.draw(); };
  const view = await View.start(part("image"), drawn);
  measures = new Measures(view, part("marks"), part("lengths"), words);
  layer = new Layer(view, part("layer"), part("heat"));
  const mode = () => figure.querySelector("input[name=viewer-drag]:checked").value;

  const tell = () => {
    if (!view.image) return;
    const { center, width } = windowOf(view.shown), colour = isColour(view.frame);
    part("window").textContent = colour ? "" : words.window.replace("{center}", rounded(center)).replace("{width}", rounded(width));
    part("place").textContent = words.place.replace("{number}", view.index + 1).replace("{count}", view.frames.length);
    part("slice").value = view.index + 1;
    Object.assign(figure.dataset, {
      shown: view.frame.url, index: view.index, center, width, zoom: view.zoom, low: view.image.minPixelValue, high: view.image.maxPixelValue,
    });
  };

  const open = async (number, index = 0) => {
    const chosen = series[number];
    part("slice").max = chosen.images.length;
    part("slicing").hidden = chosen.images.length < 2;
    part("order").textContent = [chosen.images.length < 2 ? "" : words[chosen.order], chosen.note].filter(Boolean).join(" ");
    await view.open(chosen.images, index);
    listPresets();
    drawn();
  };

  const presets = () => {
    const { windows, voi_luts: luts } = view.frame;
    return [
      ...windows.map((window, n) => ({ window, name: window.name || words.preset.replace("{number}", n + 1) })),
      ...luts.map((lut) => ({ lut: lut.index, name: lut.name || words.lut.replace("{number}", lut.index + 1) })),
      { spread: true, name: words.spread }, { all: true, name: words.all },
    ];
  };
  const listPresets = () => {
    const options = isColour(view.frame) ? [] : presets().map((one, n) => new Option(one.name, n));
    part("preset").replaceChildren(...options);
    part("preset").disabled = !options.length;
  };
  const take = (number) => { const chosen = presets()[number]; if (chosen) return view.preset(chosen); };
  const nextPreset = () => { const list = part("preset"); if (list.options.length) { list.selectedIndex = (list.selectedIndex + 1) % list.options.length; take(list.selectedIndex); } };

  bindPointers(stage, view, measures, mode);
  bindKeys(stage, view, measures, nextPreset);
  part("preset").addEventListener("change", (event) => take(Number(event.target.value)));
  part("slice").addEventListener("input", (event) => view.scroll(Number(event.target.value) - 1));
  const acts = {
    invert: () => view.invert(), fit: () => view.fit(), actual: () => view.actual(), closer: () => view.zoomBy(1.25),
    farther: () => view.zoomBy(0.8), unmark: () => measures.remove(),
    reset: async () => { await view.reset(); part("preset").selectedIndex = 0; },
  };
  figure.addEventListener("click", (event) => { const act = acts[event.target.closest("button[data-act]")?.dataset.act]; if (act) act(); });
  const choice = part("series");
  const listSeries = () => {
    choice.replaceChildren(...series.map((one, n) => new Option(words.series.replace("{number}", one.number ?? n + 1).replace("{description}", one.description || one.modality).replace("{count}", one.images.length), n)));
    choice.closest("label").hidden = series.length < 2;
    part("says").textContent = lost || unread ? words.lost.replace("{number}", lost + unread) : "";
  };
  choice.addEventListener("change", () => open(Number(choice.value)));
  const decided = () => {
    const is = (frame) => frame.sop_instance_uid === described?.sop_instance_uid;
    const number = Math.max(series.findIndex((one) => one.images.some(is)), 0);
    return [number, Math.max(series[number].images.findIndex(is), 0)];
  };

  /** Begin with the image that decided, under its heat map. */
  const begin = async () => {
    listSeries();
    const [number, index] = decided();
    choice.value = number;
    await open(number, index);
    await heat();
  };
  const heat = async () => {
    part("heating").hidden = !described;
    await layer.open(described);
  };
  await begin();

  let edition = document.getElementById("study-head")?.dataset.edition;
  document.addEventListener("swapped", async () => {
    const now = document.getElementById("study-head")?.dataset.edition;
    if (now === edition) return;
    edition = now;
    const names = JSON.stringify(series.map((one) => one.images.map((frame) => frame.url)));
    const again = await listed();
    if (!again.series.length) return;
    ({ series, layer: described, lost, unread } = again);
    if (names === JSON.stringify(series.map((one) => one.images.map((frame) => frame.url)))) await heat();
    else await begin();
  });
  figure.dataset.ready = "yes";
}

function rounded(value) { return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100; }

if (figure?.dataset.images) {
  start().catch((error) => {
    figure.classList.remove("started");
    part("says").textContent = JSON.parse(figure.dataset.words).failed.replace("{why}", error.message);
  });
}
