/** A picture of a batch: what the run calls it, and where it comes from. */
import * as fs from "node:fs";
import { extname } from "node:path";
import { ManifestLine } from "#core/run/schema";
import * as Limits from "#infra/limits";

/** One item: a local file that becomes an upload, or a manifest's line as it is. */
export interface Entry {
  line: ManifestLine;
  /** Absolute; `line.image_ref` names the upload once there is one. */
  readonly path?: string | undefined;
  /** When it was uploaded, in ms: uploads that nobody uses live seven days. */
  uploadedAt?: number | undefined;
}

export interface LocalFile {
  readonly bytes: number;
  readonly mimeType: string;
}

/** By extension, which only declares: the server looks at the bytes. */
export const mimeTypes: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".webp": "image/webp",
  ".tif": "image/tiff",
  ".tiff": "image/tiff",
  ".gif": "image/gif",
};

/** The type that a file's name promises; undefined when it is no picture's. */
export const mimeTypeOf = (path: string): string | undefined => mimeTypes[extname(path).toLowerCase()];

/** Why a file cannot be uploaded, in a few words; `isOther`: it can be read, and is no picture, whatever it is called. */
export interface Problem {
  readonly problem: string;
  readonly isOther?: boolean;
}

/** The file as it is now, or what is wrong with it. */
export function inspect(path: string): LocalFile | Problem {
  const mimeType = mimeTypeOf(path);
  if (mimeType === undefined)
    return { problem: `is no picture by its name (${Object.keys(mimeTypes).join(" ")})` };
  try {
    const stat = fs.statSync(path);
    if (!stat.isFile()) return { problem: "is no file" };
    if (stat.size === 0) return { problem: "is empty" };
    if (stat.size > Limits.sizes.uploadImageBytes)
      return { problem: `has ${(stat.size / 1e6).toFixed(1)} MB: more than an upload may have` };
    if (!isPicture(headOf(path)))
      return { problem: "is no JPEG, PNG, WebP, TIFF or GIF by its first bytes", isOther: true };
    return { bytes: stat.size, mimeType };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    return { problem: code === "ENOENT" ? "does not exist" : `cannot be read (${code})` };
  }
}

const headBytes = 12;
/** JPEG, PNG, GIF, and TIFF (42) or BigTIFF (43) in either byte order. */
const magic = [
  ...["\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a"],
  ...["II*\0", "II+\0", "MM\0*", "MM\0+"],
];

function headOf(path: string): string {
  const file = fs.openSync(path, "r");
  try {
    const head = Buffer.alloc(headBytes);
    return head.toString("latin1", 0, fs.readSync(file, head, 0, headBytes, 0));
  } finally {
    fs.closeSync(file);
  }
}

/** The magic numbers that the server judges by (core/image/image.ts); whether the rest can be read is for it to say. */
function isPicture(head: string): boolean {
  if (head.startsWith("RIFF")) return head.slice(8) === "WEBP";
  return magic.some((number) => head.startsWith(number));
}

/** What the server would refuse about a name, before anything is uploaded for nothing. */
export function nameProblems(names: { custom_id?: string; file?: string }): string[] {
  const checked = ManifestLine.safeParse({ ...names, image_ref: "x" });
  return checked.success
    ? []
    : checked.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}
