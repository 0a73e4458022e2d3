// The heat map over the image: its own picture, stretched over the whole of the image, at the opacity of a slider.
export class Layer {
  constructor(view, canvas, slider) {
    Object.assign(this, { view, canvas, slider, picture: null, of: "" });
    slider.addEventListener("input", () => this.draw());
  }

  async open(described) {
    const url = described?.url ?? "";
    if (url === this.url) return;
    this.url = url;
    this.picture = null;
    if (url) {
      const picture = new Image();
      picture.src = url;
      await picture.decode();
      Object.assign(this, { picture, of: described.sop_instance_uid });
    }
    this.draw();
  }

  get fits() { return this.picture !== null && this.view.frame?.sop_instance_uid === this.of; }

  draw() {
    const { canvas } = this, scale = window.devicePixelRatio;
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.slider.disabled = !this.fits;
    const share = Number(this.slider.value) / 100;
    if (!this.fits || share === 0 || !this.view.image) return;
    const { rows, columns } = this.view.frame;
    const [x, y] = this.view.place([-0.5, -0.5]), [right, top] = this.view.place([columns - 0.5, -0.5]);
    const [left, bottom] = this.view.place([-0.5, rows - 0.5]);
    context.globalAlpha = share;
    context.imageSmoothingEnabled = true;
    const { naturalWidth: w, naturalHeight: h } = this.picture;
    context.setTransform((scale * (right - x)) / w, (scale * (top - y)) / w, (scale * (left - x)) / h, (scale * (bottom - y)) / h, scale * x, scale * y);
    context.drawImage(this.picture, 0, 0);
  }
}
