/** A manifest on this machine: JSON lines, each naming a picture by `path`, or as the API does. */
import * as fs from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import * as z from "zod";
import { UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Issue from "#core/issue";
import * as Json from "#core/json";
import { ManifestLine } from "#core/run/schema";
import * as Tags from "#core/run/tags";
import * as Utf8 from "#core/utf8";
import * as Limits from "#spec/limits";
import { type Entry, inspect, nameProblems } from "./entry.ts";

/** A line with a local file; `file` is its name in the run, by default the path as written. */
const LocalLine = z.strictObject({
  path: z.string().min(1),
  file: z.string().optional(),
  custom_id: z.string().optional(),
  tags: Tags.Tags.optional(),
});

const { manifestBytes, manifestLineBytes, manifestLines } = Limits.batches;

/**
 * The entries of a JSONL file; paths in it are relative to its own folder. Empty lines are skipped. Throws UsageError
 * that lists every bad line by its number: nothing is sent until all are valid.
 */
export function read(path: string, options: { label: string; limit?: number | undefined }): Entry[] {
  const size = fs.statSync(path).size;
  if (size > manifestBytes) throw new UsageError(`${options.label} has more than ${manifestBytes} bytes`);
  const text = fs.readFileSync(path);
  const seen = { custom_id: new Map<string, number>(), file: new Map<string, number>() };
  const problems: string[] = [];
  const entries: Entry[] = [];
  let number = 0;
  for (const bytes of linesOf(text)) {
    number += 1;
    const problem = (what: string) => problems.push(`line ${number}: ${what}`);
    if (bytes.length > manifestLineBytes) {
      problem(`has ${bytes.length} bytes, at most ${manifestLineBytes} are allowed`);
      continue;
    }
    const { text: decoded, problem: encoding } = Utf8.read(bytes);
    if (encoding !== undefined) {
      problem(`${encoding}: save the file as UTF-8`);
      continue;
    }
    const line = decoded.trim();
    if (line === "") continue;
    const entry = parse(line, dirname(path), problem);
    if (entry === undefined) continue;
    for (const name of ["custom_id", "file"] as const) {
      const value = entry.line[name];
      if (value === undefined) continue;
      const first = seen[name].get(value);
      if (first !== undefined) problem(`${name} is the same as in line ${first}`);
      else seen[name].set(value, number);
    }
    entries.push(entry);
  }
  if (problems.length > 0)
    throw new UsageError(
      `nothing was sent: ${options.label} has ${problems.length} mistakes:\n  ${Text.list(problems)}`,
    );
  if (entries.length === 0) throw new UsageError(`${options.label} has no lines`);
  const wanted = entries.slice(0, options.limit);
  if (wanted.length > manifestLines)
    throw new UsageError(
      `${options.label} has ${wanted.length} lines; a run has at most ${manifestLines}: use --limit or split it`,
    );
  return wanted;
}

/** Splits at line feeds; trimming removes a byte order mark and carriage returns. */
function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start);
    yield bytes.subarray(start, end === -1 ? bytes.length : end);
    start = end === -1 ? bytes.length : end + 1;
  }
}

function parse(line: string, folder: string, problem: (what: string) => void): Entry | undefined {
  const { value: json, problem: broken } = Json.read(line);
  if (broken !== undefined) {
    problem(broken.replace("line 1, ", ""));
    return undefined;
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    problem('is not an object such as {"path":"a.jpg"}');
    return undefined;
  }
  const unsafe = Tags.problem(json);
  if (unsafe !== undefined) {
    problem(textOf(unsafe));
    return undefined;
  }
  const isLocal = "path" in json;
  const names = ["image_ref", "image_key", "image_url"].filter((name) => name in json);
  if (isLocal ? names.length > 0 : names.length !== 1) {
    problem("needs exactly one of path, image_ref, image_key, image_url");
    return undefined;
  }
  return isLocal ? parseLocal(json, folder, problem) : parseRemote(json, problem);
}

function parseRemote(json: object, problem: (what: string) => void): Entry | undefined {
  const { data, issues } = Issue.check(ManifestLine, json);
  for (const issue of issues ?? []) problem(textOf(issue));
  return data === undefined ? undefined : { line: data };
}

function parseLocal(json: object, folder: string, problem: (what: string) => void): Entry | undefined {
  const parsed = Issue.check(LocalLine, json);
  for (const issue of parsed.issues ?? []) problem(textOf(issue));
  if (parsed.data === undefined) return undefined;
  const { path, custom_id: customId, tags } = parsed.data;
  const file =
    parsed.data.file ?? (isAbsolute(path) ? path : path.replace(/^\.[\\/]/, "")).replaceAll("\\", "/");
  const line = {
    ...(customId === undefined ? {} : { custom_id: customId }),
    ...{ file, ...(tags === undefined ? {} : { tags }) },
  };
  const absolute = resolve(folder, path);
  const local = inspect(absolute);
  const wrong = [...nameProblems(line), ...("problem" in local ? [`${path} ${local.problem}`] : [])];
  for (const what of wrong) problem(what);
  return wrong.length > 0 || "problem" in local
    ? undefined
    : { line, path: absolute, mimeType: local.mimeType };
}

const textOf = ({ path, message }: { path: string; message: string }) =>
  [path, message].filter(Boolean).join(": ");
