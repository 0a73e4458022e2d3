// Frames from the box as images of Cornerstone3D: values after slope and intercept, on a plane of their own spacing.
import { imageLoader, metaData } from "@cornerstonejs/core";

const SCHEME = "box";
const TYPES = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, float32: Float32Array };
const known = new Map();

/** The name under which the viewer knows a frame; `lut` asks for it through that VOI LUT of its header. */
export function nameOf(frame, lut = null) {
  const name = `${SCHEME}:${frame.url}${lut === null ? "" : `&lut=${lut}`}`;
  known.set(name, frame);
  return name;
}

/** Height and width of a pixel: in mm where the header says so, else in parts of each other. */
export function sidesOf(frame) {
  if (frame.spacing_mm) return frame.spacing_mm;
  return frame.aspect;
}

export function registerLoader() {
  imageLoader.registerImageLoader(SCHEME, (name) => ({ promise: load(name) }));
  metaData.addProvider((type, name) => (typeof name === "string" && known.has(name) ? describe(type, known.get(name)) : undefined));
}

function describe(type, frame) {
  const [rowPixelSpacing, columnPixelSpacing] = sidesOf(frame);
  const { rows, columns } = frame;
  if (type === "generalSeriesModule") return { modality: frame.modality || "OT" };
  if (type === "imagePlaneModule") {
    return {
      rows, columns, rowPixelSpacing, columnPixelSpacing, pixelSpacing: [rowPixelSpacing, columnPixelSpacing],
      imageOrientationPatient: [1, 0, 0, 0, 1, 0], imagePositionPatient: [0, 0, 0], rowCosines: [1, 0, 0],
      columnCosines: [0, 1, 0], frameOfReferenceUID: "1", usingDefaultValues: false,
    };
  }
  if (type === "imagePixelModule") {
    const colour = isColour(frame);
    return {
      rows, columns, samplesPerPixel: colour ? 3 : 1, bitsAllocated: colour ? 8 : 16, bitsStored: colour ? 8 : 16,
      highBit: colour ? 7 : 15, pixelRepresentation: frame.signed ? 1 : 0,
      photometricInterpretation: colour ? "RGB" : frame.photometric_interpretation,
    };
  }
  if (type === "modalityLutModule") return { rescaleSlope: 1, rescaleIntercept: 0 };
  return undefined;
}

export function isColour(frame) {
  return !["MONOCHROME1", "MONOCHROME2", ""].includes(frame.photometric_interpretation);
}

async function load(name) {
  const frame = known.get(name);
  const answer = await fetch(name.slice(SCHEME.length + 1));
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const says = JSON.parse(answer.headers.get("Scanside-Frame"));
  const stored = new TYPES[says.kind](await answer.arrayBuffer());
  const through = name.includes("&lut=");
  const [slope, intercept] = says.samples === 3 || through ? [1, 0] : frame.rescale;
  const values = rescaled(stored, slope, intercept);
  const ends = [says.smallest * slope + intercept, says.largest * slope + intercept];
  const low = Math.min(...ends), high = Math.max(...ends);
  const window = through ? { low, high } : spread(values, low, high);
  const [rowPixelSpacing, columnPixelSpacing] = sidesOf(frame);
  return {
    imageId: name, rows: says.rows, columns: says.columns, height: says.rows, width: says.columns,
    rowPixelSpacing, columnPixelSpacing, slope: 1, intercept: 0, minPixelValue: low, maxPixelValue: high,
    windowCenter: (window.low + window.high + 1) / 2, windowWidth: Math.max(window.high - window.low, 1), spread: window,
    color: says.samples === 3, rgba: false, numberOfComponents: says.samples, getPixelData: () => values,
    dataType: values.constructor.name, sizeInBytes: values.byteLength,
    invert: frame.photometric_interpretation === "MONOCHROME1",
    photometricInterpretation: says.samples === 3 ? "RGB" : frame.photometric_interpretation,
  };
}

function rescaled(stored, slope, intercept) {
  if (slope === 1 && intercept === 0) return stored;
  const whole = Number.isInteger(slope) && Number.isInteger(intercept) && !(stored instanceof Float32Array);
  const values = new Float32Array(stored.length);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < stored.length; i++) {
    const value = stored[i] * slope + intercept;
    values[i] = value;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (whole && low >= -32768 && high <= 32767) return Int16Array.from(values);
  return whole && low >= 0 && high <= 65535 ? Uint16Array.from(values) : values;
}

/** From the darkest to the brightest half percent, as the box's own picture is drawn. */
function spread(values, low, high) {
  const sample = [];
  for (let i = 0, step = Math.max(1, Math.floor(values.length / 100000)); i < values.length; i += step) sample.push(values[i]);
  sample.sort((a, b) => a - b);
  const from = sample[Math.floor(sample.length * 0.005)], to = sample[Math.floor(sample.length * 0.995)];
  return to > from ? { low: from, high: to } : { low, high: Math.max(high, low + 1) };
}
