import sharp from "sharp";

/** A small picture with some structure, different for each `seed`; JPEG unless said otherwise. */
export async function picture(seed = 1, format: "jpeg" | "png" | "webp" = "jpeg"): Promise<Buffer> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="400"><rect width="320" height="400" fill="white"/>
    <text x="20" y="60" font-size="28">TOTAL ${seed}.00</text><rect x="${20 + (seed % 200)}" y="200" width="60" height="40"/></svg>`;
  return sharp(Buffer.from(svg)).toFormat(format).toBuffer();
}

export const base64 = async (seed = 1) => (await picture(seed)).toString("base64");
