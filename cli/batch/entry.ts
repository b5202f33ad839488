/** A picture of a batch: its name in the run, and its source. */
import * as fs from "node:fs";
import { basename } from "node:path";
import { foreign, lookBytes } from "#core/image/foreign";
import * as Type from "#core/image/type";
import * as Issue from "#core/issue";
import { ManifestLine } from "#core/run/schema";
import type { Reason } from "#core/run/skipped";
import * as Limits from "#spec/limits";
import type { MimeType } from "#spec/pictures";

/** One item: a local file that becomes an upload, or a line of a manifest. */
export interface Entry {
  line: ManifestLine;
  /** Absolute; `line.image_ref` names the upload once there is one. */
  readonly path?: string | undefined;
  /** The media type of the local file, by its first bytes. */
  readonly mimeType?: string | undefined;
  /** When it was uploaded, in epoch ms: unused uploads are removed after seven days. */
  uploadedAt?: number | undefined;
}

interface LocalFile {
  readonly bytes: number;
  readonly mimeType: MimeType;
}

/** Why a file cannot be uploaded, in a few words. */
export interface Problem {
  readonly problem: string;
  /** Its type is not supported or it is empty: in a folder it is left out for this reason. */
  readonly reason?: Reason | undefined;
}

/** The file's current state, or its problem. The first bytes decide its type, not the name. */
export function inspect(path: string): LocalFile | Problem {
  try {
    const stat = fs.statSync(path);
    if (!stat.isFile()) return { problem: "is not a file", reason: "no_file" };
    if (stat.size === 0) return { problem: "is empty", reason: "empty" };
    const head = headOf(path);
    const mimeType = Type.sniff(head);
    if (mimeType === undefined) return other(path, head);
    const { uploadPdfBytes, uploadImageBytes } = Limits.sizes;
    if (stat.size > (mimeType === "application/pdf" ? uploadPdfBytes : uploadImageBytes))
      return { problem: `has ${(stat.size / 1e6).toFixed(1)} MB: more than an upload may have` };
    return { bytes: stat.size, mimeType };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    if (code === "ENOENT") return { problem: "does not exist" };
    return { problem: `cannot be read (${code})`, reason: "unreadable" };
  }
}

function other(path: string, head: Uint8Array): Problem {
  // On Windows the separator is a backslash.
  const name = basename(path);
  const what = foreign(head);
  const foreignType = what === undefined ? "" : `is ${what} (read are ${Type.names})`;
  if (Type.looksUnread(head) || (Type.promisesUnread(name) && Type.promisedBy(name) === undefined))
    return {
      problem: foreignType || `is of a type that is not read: only ${Type.names} are`,
      reason: "not_supported",
    };
  const reason = Type.promisedBy(name) === undefined ? "no_picture" : "not_what_it_is_called";
  return {
    problem: foreignType || "is not a JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF or PDF by its first bytes",
    reason,
  };
}

function headOf(path: string): Uint8Array {
  const file = fs.openSync(path, "r");
  try {
    const head = Buffer.alloc(lookBytes);
    return head.subarray(0, fs.readSync(file, head, 0, head.length, 0));
  } finally {
    fs.closeSync(file);
  }
}

/** Why the server would refuse a name; checked before uploads begin. */
export function nameProblems(names: { custom_id?: string; file?: string }): string[] {
  const { issues = [] } = Issue.check(ManifestLine, { ...names, image_ref: "x" });
  return issues.map(({ path, message }) => `${path}: ${message}`);
}
