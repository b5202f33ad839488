import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import sharp from "sharp";
import * as Encode from "#core/image/encode";
import type { Picture } from "#core/image/native";
import { sniff } from "#core/image/type";

/* The pictures with which the look is measured. */

export interface Case {
  set: string;
  name: string;
  bytes: Buffer;
}

/** Rows of a table for people. */
export type Table = Record<string, string | number>[];

const shared = resolve(import.meta.dirname, "../../../shared/data");

/** Pictures of a folder of ../shared/data; none, with a message, where it is missing. */
export function folder(name: string): Case[] {
  const path = join(shared, name);
  if (!existsSync(path)) {
    console.error(`${path} is missing: its pictures are left out`);
    return [];
  }
  return readdirSync(path)
    .filter((file) => /\.(?:jpg|png)$/.test(file))
    .map((file) => ({ set: name, name: file, bytes: readFileSync(join(path, file)) }));
}

/** As the product gets it: its own bytes at 0, else a new JPEG. */
export async function turnedBy(bytes: Buffer, degrees: number): Promise<Buffer> {
  if (degrees === 0) return bytes;
  const upright = await sharp(bytes).autoOrient().toBuffer();
  return await sharp(upright).rotate(degrees).jpeg({ quality: 92 }).toBuffer();
}

export async function pictureOf(bytes: Buffer): Promise<Picture> {
  const mimeType = sniff(bytes) ?? "image/jpeg";
  const { width, height, orientation = 1 } = await Encode.header(bytes, mimeType);
  return { bytes: Buffer.from(bytes), mimeType, index: 0, width, height, orientation, pixelAspect: 1 };
}
