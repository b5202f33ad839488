import sharp from "sharp";

const width = 320;
const height = 400;

/**
 * A small picture with some structure, different for each `seed` up to 2^24; JPEG by default. Drawn from pixels,
 * because core/document switches off the decoders of other formats in its process.
 */
export async function picture(seed = 1, format: "jpeg" | "png" | "webp" = "jpeg"): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height, 255);
  const box = (left: number, top: number, wide: number, high: number) => {
    for (let y = top; y < top + high; y += 1) pixels.fill(0, y * width + left, y * width + left + wide);
  };
  box(20 + (seed % 200), 200, 60, 40);
  // The seed's bits, large enough to survive any compression.
  for (let bit = 0; bit < 24; bit += 1)
    if ((seed >> bit) & 1) box(16 + (bit % 12) * 24, 48 + 32 * Math.floor(bit / 12), 16, 16);
  // As fine as print, so that the pixels and not the header make most of the file.
  for (let row = 0, state = seed + 1; row < 12; row += 1)
    for (let column = 0; column < 72; column += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      if (state & 0x10000) box(16 + column * 4, 260 + row * 10, 3, 6);
    }
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .toFormat(format)
    .toBuffer();
}

/** A GIF of two frames, the second of them blank. */
export async function twoFrames(): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 2 * 3, 255);
  for (let y = 40; y < 80; y += 1) pixels.fill(0, y * width * 3 + 60, y * width * 3 + 600);
  return sharp(pixels, { raw: { width, height: height * 2, channels: 3, pageHeight: height } })
    .gif()
    .toBuffer();
}

export const base64 = async (seed = 1) => (await picture(seed)).toString("base64");
