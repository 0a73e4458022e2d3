// Lengths on the image, in pixels and, where the header has a spacing, in mm: and it is said by which spacing.
const SVG = "http://www.w3.org/2000/svg";

export class Measures {
  /** `list` gets a line of text for each; `words` are the sentences of the page. */
  constructor(view, svg, list, words) {
    Object.assign(this, { view, svg, list, words, lines: [], active: null, end: 1 });
  }

  begin(from, to = from) {
    this.active = { frame: this.view.frame.url, ends: [from, to] };
    this.end = 1;
    this.lines.push(this.active);
    this.draw();
  }

  move(to) { if (this.active) { this.active.ends[this.end] = to; this.draw(); } }

  nudge(dx, dy) { if (this.active) { const [x, y] = this.active.ends[this.end]; this.move([x + dx, y + dy]); } }

  /** A click without a way is no length. */
  finish() {
    if (this.active && distance(this.active.ends) < 0.5) this.lines = this.lines.filter((one) => one !== this.active);
    this.draw();
  }

  remove() {
    this.lines = this.lines.filter((one) => one !== (this.active ?? this.lines.at(-1)));
    this.active = null;
    this.draw();
  }

  /** The handle of a line near a place in the view, made active; false when there is none. */
  grab(at) {
    for (const line of this.lines.filter((one) => one.frame === this.view.frame.url)) {
      for (const end of [0, 1]) {
        const [x, y] = this.view.place(line.ends[end]);
        if (Math.hypot(x - at[0], y - at[1]) < 14) { Object.assign(this, { active: line, end }); return true; }
      }
    }
    return false;
  }

  text(line) {
    const px = distance(line.ends), frame = this.view.frames.find((one) => one.url === line.frame) ?? this.view.frame;
    const pixels = `${number(px)} px`;
    if (!frame.spacing_mm) return this.words.no_spacing.replace("{px}", pixels);
    const [height, width] = frame.spacing_mm, [[ax, ay], [bx, by]] = line.ends;
    const mm = `${number(Math.hypot((bx - ax) * width, (by - ay) * height))} mm`;
    const sentence = frame.spacing_named === "PixelSpacing" ? this.words.spaced : this.words.projected;
    return sentence.replace("{mm}", mm).replace("{px}", pixels).replace("{spacing}", spelt(frame.spacing_named));
  }

  draw() {
    if (!this.view.frame || !this.view.image) return;
    const here = this.lines.filter((one) => one.frame === this.view.frame.url);
    this.svg.replaceChildren(...here.flatMap((line) => this.shapes(line)));
    const texts = here.map((line) => this.text(line));
    if (texts.join() !== Array.from(this.list.children, (one) => one.textContent).join()) {
      this.list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    }
  }

  shapes(line) {
    const [[ax, ay], [bx, by]] = line.ends.map((one) => this.view.place(one));
    const made = [make("line", { x1: ax, y1: ay, x2: bx, y2: by, class: "under" }), make("line", { x1: ax, y1: ay, x2: bx, y2: by })];
    line.ends.forEach((_, end) => {
      const [x, y] = end ? [bx, by] : [ax, ay];
      made.push(make("circle", { cx: x, cy: y, r: line === this.active && end === this.end ? 7 : 5 }));
    });
    const label = make("text", { x: (ax + bx) / 2 + 8, y: (ay + by) / 2 - 8 });
    label.textContent = this.text(line).split(" · ")[0];
    return [...made, label];
  }
}

function distance([[ax, ay], [bx, by]]) { return Math.hypot(bx - ax, by - ay); }
function number(value) { return value.toFixed(1); }
function spelt(keyword) { return keyword.replace(/([a-z])([A-Z])/g, "$1 $2"); }

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
