import type { AppError, Issue } from "#core/error";
import * as Type from "#core/image/type";
import * as Near from "#core/near";
import { shownName } from "#core/shown-name";
import * as Picture from "./picture.ts";
import * as Wrong from "./wrong.ts";

/** Records whose members are offered in place of a wrong name. */
const seenRecords = 100;
const seenNames = 200;

/**
 * True if a single object is a record, and not a list of records or records by the names of their pictures. One without the
 * member for the name is a record as well if it holds only single values, or single values beside `fields`.
 */
export function isRecord(object: Readonly<Record<string, unknown>>, imageKey: string): boolean {
  if (typeof object[imageKey] === "string") return true;
  const values = Object.values(object);
  const groups = values.filter((value) => typeof value === "object" && value !== null);
  const isFields = groups.length === 1 && groups[0] === object.fields;
  return values.length > groups.length && (groups.length === 0 || isFields);
}

/** Looks whether the member that names the picture (`gt_image_key`) exists in the records. */
export class Names {
  readonly #imageKey: string;
  readonly #others = new Set<string>();
  #records = 0;
  #isThere = false;

  constructor(imageKey: string) {
    this.#imageKey = imageKey;
  }

  see(record: unknown): void {
    if (this.#isThere || typeof record !== "object" || record === null || Array.isArray(record)) return;
    const given = record as Readonly<Record<string, unknown>>;
    this.#isThere = Object.hasOwn(given, this.#imageKey) && given[this.#imageKey] !== null;
    this.#records += 1;
    if (this.#records > seenRecords || this.#others.size > seenNames) return;
    for (const name of Object.keys(given)) this.#others.add(name);
  }

  /** Throws AppError `gt_image_key` if no record has the member, with the members that records have. */
  check(): void {
    if (!this.#isThere) throw missing(this.#imageKey, [...this.#others]);
  }
}

function missing(imageKey: string, others: readonly string[]): AppError {
  const printable = others.filter(
    (name) => shownName(name) === name && name !== "fields" && name !== imageKey,
  );
  const meant = Near.choice(imageKey, printable);
  const what = `no record has the member \`${shownName(imageKey)}\`, which names its picture`;
  return Wrong.at("gt_image_key", `${what}${meant}`, { path: "gt_image_key" });
}

/**
 * A record that was found under a name. The name becomes the picture's name if the record has none of its own, or one
 * with fewer folders. A record under the name of one picture that names another picture is a mistake. A name without a
 * picture's extension is an id and is ignored.
 */
export function named(
  value: unknown,
  name: string,
  imageKey: string,
): { given: unknown; problem?: never } | { problem: string } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { given: value };
  const { [imageKey]: own, ...others } = value as Readonly<Record<string, unknown>>;
  if (!Object.hasOwn(value, imageKey) || own === null) return { given: { [imageKey]: name, ...others } };
  if (typeof own !== "string" || Type.promisedBy(name) === undefined) return { given: value };
  const [outer, inner] = [Picture.nameOf(name), Picture.nameOf(own)];
  const isPrecise = `/${outer.path}`.endsWith(`/${inner.path}`);
  const pictureOf = Picture.documentOf(inner)?.name ?? inner;
  if (isPrecise) return { given: { ...value, [imageKey]: name } };
  const isSame = [outer, Picture.documentOf(outer)?.name ?? outer].some(
    ({ path }) => `/${path}`.endsWith(`/${pictureOf.path}`) || `/${pictureOf.path}`.endsWith(`/${path}`),
  );
  return isSame
    ? { given: value }
    : { problem: `is under the name of one picture, and its \`${shownName(imageKey)}\` names another` };
}

/** Longest name in an error. */
const longest = 200;

/** The picture that a record names, for an issue in it. */
export function fileOf(record: unknown, imageKey: string): Pick<Issue, "file"> {
  if (typeof record !== "object" || record === null || !Object.hasOwn(record, imageKey)) return {};
  const name = (record as Readonly<Record<string, unknown>>)[imageKey];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are replaced.
  const clean = /[\u0000-\u001f\u007f-\u009f]/g;
  return typeof name === "string" && name !== ""
    ? { file: name.slice(0, longest).replaceAll(clean, "?") }
    : {};
}
