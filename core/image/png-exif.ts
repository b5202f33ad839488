import { crc32, inflateSync } from "node:zlib";
import * as Walk from "#core/image/walk";

/*
 * libvips finds EXIF in a PNG only where the specification wants it: in a chunk `eXIf` that begins with the TIFF
 * header and stands in front of the pixels. Tools also write it behind the pixels, with the six bytes of JPEG's
 * APP1 in front, or as text (ImageMagick, ExifTool before 2017); a phone's photo that went through one of them
 * lies on its side when nobody looks there.
 */

/** EXIF with a preview picture is below 64 KiB, the limit of JPEG's segment. */
const mostExifBytes = 65_536;
const afterHeader = 33;

/**
 * The same PNG with its EXIF where libvips looks for it; the bytes themselves where it is there already, or where
 * there is none. Walks the chunks' headers only.
 */
export function withReadableExif(bytes: Uint8Array): Uint8Array {
  let found: Uint8Array | undefined;
  let behindPixels = false;
  let pixelsSeen = false;
  let chunk: Walk.Chunk | undefined;
  for (const each of Walk.pngChunks(bytes)) {
    if (each.name === "IDAT") pixelsSeen = true;
    if (each.name === "eXIf" && each.data.length <= mostExifBytes) {
      found = withoutName(each.data);
      behindPixels = pixelsSeen;
      chunk = each;
      // A chunk of its own is the newer statement.
      break;
    }
    found ??= rawProfile(each);
  }
  if (found === undefined || !isTiff(found)) return bytes;
  if (chunk !== undefined && !behindPixels && found.length === chunk.data.length) return bytes;
  const [dropFrom, dropTo] =
    chunk === undefined || behindPixels ? [afterHeader, afterHeader] : [chunk.start, chunk.end];
  return Buffer.concat([
    bytes.subarray(0, afterHeader),
    exifChunk(found),
    bytes.subarray(afterHeader, dropFrom),
    bytes.subarray(dropTo),
  ]);
}

function exifChunk(tiff: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + tiff.length);
  chunk.writeUInt32BE(tiff.length, 0);
  chunk.write("eXIf", 4, "latin1");
  chunk.set(tiff, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + tiff.length)), 8 + tiff.length);
  return chunk;
}

/**
 * EXIF that ImageMagick hides in text: key, then a line with the profile's name, one with its length, and hex
 * digits. Undefined for any other chunk, and for what is too large or not hex.
 */
function rawProfile({ name, data }: Walk.Chunk): Uint8Array | undefined {
  if (name !== "zTXt" && name !== "tEXt") return undefined;
  const keyEnd = data.indexOf(0);
  const key = Buffer.from(data.subarray(0, Math.max(0, Math.min(80, keyEnd)))).toString("latin1");
  if (key !== "Raw profile type exif" && key !== "Raw profile type APP1") return undefined;
  let text: Buffer;
  try {
    text =
      name === "tEXt"
        ? Buffer.from(data.subarray(keyEnd + 1))
        : inflateSync(data.subarray(keyEnd + 2), { maxOutputLength: 3 * mostExifBytes });
  } catch {
    return undefined;
  }
  const lines = text.toString("latin1").split("\n");
  const hex = lines.slice(3).join("");
  if (hex === "" || hex.length > 2 * (mostExifBytes + 6) || !/^[0-9a-f]+$/i.test(hex)) return undefined;
  return withoutName(Buffer.from(hex, "hex"));
}

function withoutName(exif: Uint8Array): Uint8Array {
  return Buffer.from(exif.subarray(0, 6)).toString("latin1") === "Exif\0\0" ? exif.subarray(6) : exif;
}

function isTiff(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 4)).toString("latin1");
  return head === "II*\0" || head === "MM\0*";
}
