/** Picture files as the commands take them: found by name or pattern, read, and scaled down when they are too large to send. */
import * as fs from "node:fs";
import { basename, isAbsolute, relative, resolve } from "node:path";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import type { Document as Opened, Prepared } from "#core/document/document";
import { GlobError } from "#core/glob/glob";
import * as Limits from "#spec/limits";
import * as GlobFiles from "./glob-files.ts";

/** A file that cannot be read or is not a picture; the message does not name the file. */
export class PictureError extends Error {
  override readonly name = "PictureError";
}

/** A file as the caller named it. `-` is stdin. */
interface Found {
  readonly name: string;
  readonly path: string;
}

/**
 * The files behind the arguments, in their order, each once. A pattern that the shell left alone (PowerShell
 * does) is expanded here, its files sorted; matching folders are reported through `say`. Throws UsageError for a
 * pattern without matches.
 */
export function find(args: readonly string[], cwd: string, say: (line: string) => void): Found[] {
  const found = args.flatMap((arg): Found[] => {
    const path = resolve(cwd, arg);
    if (arg === "-" || fs.existsSync(path) || !/[*?[{]|[@+!]\(/.test(arg)) return [{ name: arg, path }];
    const { files, folders } = matching(arg, cwd);
    if (files.length === 0) throw new UsageError(`no file matches ${arg}`);
    if (folders > 0)
      say(`${folders} left out: ${folders === 1 ? "a folder fits" : "folders fit"} ${Text.shown(arg)}, too`);
    return files.map((match) => ({ name: match, path: resolve(cwd, match) }));
  });
  return [...new Map(found.map((file) => [file.path, file])).values()];
}

function matching(glob: string, cwd: string): GlobFiles.Matches {
  try {
    return GlobFiles.find(glob, cwd);
  } catch (error) {
    if (error instanceof GlobError) throw new UsageError(`${glob}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** A short name for messages: relative if that is shorter. */
export function label(file: Found, cwd: string): string {
  if (file.name === "-") return "stdin";
  const short = isAbsolute(file.name) ? relative(cwd, file.path) : file.name;
  return short.startsWith("..") ? basename(file.path) : short;
}

/** No receipt is larger. A larger file was named by mistake and must not be read into memory. */
const maxFileBytes = 200 * 1000 * 1000;

/** Why a file cannot be read, without reading it; undefined if it looks fine. */
export function problem(file: Found): PictureError | undefined {
  if (file.name === "-") return undefined;
  try {
    const stat = fs.statSync(file.path);
    if (stat.isDirectory()) return new PictureError(reasons.EISDIR);
    // A pipe has no size.
    if (stat.isFile() && stat.size === 0) return new PictureError("is empty");
    if (stat.size > maxFileBytes)
      return new PictureError(`has ${megabytes(stat.size)}: that is not a picture of a receipt`);
    fs.accessSync(file.path, fs.constants.R_OK);
    return undefined;
  } catch (error) {
    return unreadable(error);
  }
}

/** The file's bytes. Throws PictureError with the reason in one line. */
export async function read(file: Found, context: Pick<Context, "stdin">): Promise<Buffer> {
  const wrong = problem(file);
  if (wrong) throw wrong;
  const bytes = file.name === "-" ? await context.stdin() : readFile(file.path);
  if (bytes.length === 0) throw new PictureError("is empty");
  return bytes;
}

function readFile(path: string): Buffer {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): PictureError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return new PictureError(reasons[code as keyof typeof reasons] ?? `cannot be read (${code})`);
}

const reasons = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EISDIR: 'is a folder: npm run ocrlty -- batch FOLDER reads all of it, "folder/*.jpg" some',
  EACCES: "may not be read by you",
  EPERM: "may not be read by you",
  ENAMETOOLONG: "has a name that is too long",
} as const;

/** Sizes to try in turn, in megapixels; the smallest still keeps the small print of a long receipt legible. */
const megapixels = [12.6, 7.1, 4.9, 3.1, 1.9] as const;
const jpegQuality = 88;

/**
 * The bytes to send. A picture over 3.5 MB becomes a smaller JPEG of its first frame, as the service itself would make
 * one: upright, square pixels, correct colors. `note` says so, and `frames` is the number of frames, which the server
 * cannot know. Undefined for a document of several pages, which must be uploaded. Throws PictureError if it is not a
 * picture that can be made smaller.
 */
export async function fit(
  bytes: Buffer,
): Promise<{ bytes: Buffer; note?: string; frames?: number } | undefined> {
  const limit = Limits.sizes.clientScaleDownBytes;
  if (bytes.length <= limit) return { bytes };
  // Loaded here: most pictures are small, and libvips takes a while.
  const [Document, { patchPixels }] = await Promise.all([
    import("#core/document/document"),
    import("#core/image/budget"),
  ]);
  const tooLarge = new PictureError(
    `has ${megabytes(bytes.length)} and is not a picture that can be made smaller`,
  );
  const document: Opened = await Document.open(bytes).catch(() => {
    throw tooLarge;
  });
  if (document.pages > 1) return undefined;
  for (const each of megapixels) {
    let scaled: Prepared;
    try {
      scaled = await Document.prepare(document.first, {
        maxImageTokens: Math.floor((each * 1e6) / patchPixels ** 2),
        encodeAs: "jpeg",
        jpegQuality,
      });
    } catch {
      throw tooLarge;
    }
    if (scaled.bytes.byteLength > limit) continue;
    const { width, height } = scaled;
    return {
      bytes: Buffer.from(scaled.bytes),
      frames: document.frames,
      note: `${megabytes(bytes.length)}, sent as ${megabytes(scaled.bytes.byteLength)} (${width}×${height})`,
    };
  }
  throw new PictureError(`has ${megabytes(bytes.length)} and cannot be made small enough`);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
