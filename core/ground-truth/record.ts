import type { Issue } from "#core/error";
import { defaultImageKey } from "./schema.ts";

/*
 * Labels made by people. A record is a picture's name and its labels. Labels have the names of the task's fields, and
 * only the fields that are labeled are scored.
 */

/** The label of one value. A field without a label is not scored. */
export type Labelled =
  /** Written as null or "": the value is not on the paper. */
  | { kind: "absent" }
  /** Written as "?": the value is on the paper, but unreadable for people. */
  | { kind: "unreadable" }
  /**
   * The printed value, or several accepted ones: the first is shown, and compared where only one can be. With
   * `orAbsent` (a null in `{"any": […]}`) a missing value is accepted, too.
   */
  | { kind: "value"; accepted: readonly [Scalar, ...Scalar[]]; orAbsent: boolean };

/** Strings are as written, including spaces around them; numbers are finite and keep all digits. */
export type Scalar = string | number | boolean;

/** A value, a group of named values, or a list of rows. An empty list means that the paper has no rows. */
export type Label =
  | Labelled
  | { kind: "group"; members: ReadonlyMap<string, Label> }
  | { kind: "rows"; rows: readonly Label[] };

/** One record of a ground truth: all labels of one document. */
export interface GroundTruth {
  /** Its index in the input, from 0. */
  index: number;
  /** The picture's name in the record: a path or file name, with `#2` for the second document on it. */
  image: string | undefined;
  labels: ReadonlyMap<string, Label>;
}

/** Maximum nesting of labels. A row's fields are at depth three, and no task comes near the limit. */
const maxDepth = 16;
/** Longest name in a report or an error. */
const maxNameLength = 200;

const unreadable = "?";

/** A parsed record, or all of its mistakes. */
type Parsed = { record: GroundTruth; issues?: never } | { record?: never; issues: Issue[] };

/**
 * Parses one record: `{file, fields: {…}}`, whose other members are remarks and not scored, or the labels directly
 * beside the picture's name. Dotted names (`totals.total`) are paths. Every mistake is returned, with its path and
 * without its value.
 * @param at.index - the record's index, from 0; @param at.imageKey - the member that names the picture.
 */
export function parse(value: unknown, at: { index: number; imageKey?: string }): Parsed {
  const imageKey = at.imageKey ?? defaultImageKey;
  const issues: Issue[] = [];
  const say = (path: string, message: string) =>
    issues.push({ path: [`records.${at.index}`, path].filter(Boolean).join("."), message });
  if (!isGroup(value)) {
    say("", "is not a record: a record is an object");
    return { issues };
  }
  const { fields } = value;
  const under = isGroup(fields);
  if (!under && fields !== undefined && fields !== null) say("fields", "is not an object of labels");
  const flat = Object.fromEntries(Object.entries(value).filter(([name]) => name !== imageKey));
  const labels = new Map<string, Label>();
  membersOf(under ? fields : flat, { path: under ? "fields" : "", depth: 1, say }, labels);
  const image = imageOf(value, imageKey);
  if (image === null) say(imageKey, "names the picture: a text that is not empty");
  return issues.length > 0 ? { issues } : { record: { index: at.index, image: image ?? undefined, labels } };
}

/** The picture's name in the record; undefined if there is none, null if it is not a valid name. */
function imageOf(record: Readonly<Record<string, unknown>>, imageKey: string): string | null | undefined {
  const value = Object.hasOwn(record, imageKey) ? record[imageKey] : undefined;
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" && value.trim() !== "" && value.length <= 1000 ? value : null;
}

/**
 * The labels as plain JSON with one value each: the first accepted one, null if the value is absent or unreadable. For
 * external metrics, which support nothing else.
 */
function plain(label: Label): unknown {
  if (label.kind === "group") return plainMembers(label.members);
  if (label.kind === "rows") return label.rows.map(plain);
  return label.kind === "value" ? label.accepted[0] : null;
}

/** `plain` of a record's labels. */
export function plainMembers(members: ReadonlyMap<string, Label>): Record<string, unknown> {
  return Object.fromEntries([...members].map(([name, label]) => [name, plain(label)]));
}

/** The label in the form that people write, which `parse` reads as the same label. */
export function written(label: Label): unknown {
  if (label.kind === "group") return writtenMembers(label.members);
  if (label.kind === "rows") return label.rows.map(written);
  if (label.kind === "absent") return null;
  if (label.kind === "unreadable") return unreadable;
  const { accepted, orAbsent } = label;
  if (accepted.length === 1 && !orAbsent) return accepted[0];
  return { any: orAbsent ? [...accepted, null] : [...accepted] };
}

/** `written` of a record's labels. */
export function writtenMembers(members: ReadonlyMap<string, Label>): Record<string, unknown> {
  return Object.fromEntries([...members].map(([name, label]) => [name, written(label)]));
}

interface Place {
  path: string;
  depth: number;
  say(path: string, message: string): void;
}

/** An object that is not a list. */
function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Adds the labels of a group's members to `into`; dotted names are resolved as paths. */
function membersOf(group: Record<string, unknown>, place: Place, into: Map<string, Label>): void {
  for (const [name, value] of Object.entries(group)) {
    const path = place.path === "" ? shown(name) : `${place.path}.${shown(name)}`;
    const parts = name.split(".");
    // `a.any` would be read back as a list of accepted values.
    const no = parts.some((part, i) => part === "" || part === "__proto__" || (part === "any" && i > 0));
    if (no || name.length > maxNameLength) {
      place.say(path, "is not a name of a field");
      continue;
    }
    const label = labelOf(value, { ...place, path, depth: place.depth + parts.length - 1 });
    if (label === undefined) continue;
    if (!put(into, parts, label)) place.say(path, "is labeled twice");
  }
}

/** @returns false if this path is already labeled. */
function put(into: Map<string, Label>, parts: readonly string[], label: Label): boolean {
  const [first = "", ...rest] = parts;
  const there = into.get(first);
  if (rest.length === 0 && label.kind !== "group") {
    if (there !== undefined) return false;
    into.set(first, label);
    return true;
  }
  if (there !== undefined && there.kind !== "group") return false;
  // This map is not shared: it was made here or by an earlier member of the same group.
  const members = new Map(there?.members);
  into.set(first, { kind: "group", members });
  if (rest.length > 0) return put(members, rest, label);
  return label.kind !== "group" || [...label.members].every(([name, each]) => put(members, [name], each));
}

/** The label of a value; undefined if it is invalid, after reporting the mistake. */
function labelOf(value: unknown, place: Place): Label | undefined {
  if (place.depth > maxDepth) {
    place.say(place.path, `is nested more than ${maxDepth} deep`);
    return undefined;
  }
  if (value === null) return { kind: "absent" };
  if (Array.isArray(value)) {
    const rows = value.map((row, i) =>
      labelOf(row, { ...place, path: `${place.path}.${i}`, depth: place.depth + 1 }),
    );
    return { kind: "rows", rows: rows.filter((row) => row !== undefined) };
  }
  if (isGroup(value)) return Object.hasOwn(value, "any") ? choiceOf(value, place) : groupOf(value, place);
  if (typeof value === "string" && value.trim() === "") return { kind: "absent" };
  if (typeof value === "string" && value.trim() === unreadable) return { kind: "unreadable" };
  const scalar = scalarOf(value, place);
  return scalar === undefined ? undefined : { kind: "value", accepted: [scalar], orAbsent: false };
}

function groupOf(group: Record<string, unknown>, place: Place): Label {
  const members = new Map<string, Label>();
  membersOf(group, { ...place, depth: place.depth + 1 }, members);
  return { kind: "group", members };
}

/** `{"any": […]}` without other members: no field below another one is called so. */
function choiceOf(choice: Readonly<Record<string, unknown>>, place: Place): Labelled | undefined {
  const { any: values } = choice;
  if (!Array.isArray(values)) {
    place.say(`${place.path}.any`, "is not a list: accepted values stand in one, also a single one");
    return undefined;
  }
  if (Object.keys(choice).length > 1) {
    place.say(place.path, "has other members beside `any`, which lists the accepted values of one label");
    return undefined;
  }
  const accepted: Scalar[] = [];
  let orAbsent = false;
  for (const [i, value] of values.entries()) {
    const label = labelOf(value, { ...place, path: `${place.path}.any.${i}`, depth: place.depth + 1 });
    if (label === undefined) return undefined;
    if (label.kind === "absent") orAbsent = true;
    else if (label.kind === "value") accepted.push(...label.accepted);
    else {
      place.say(`${place.path}.any.${i}`, "is not a single accepted value");
      return undefined;
    }
  }
  const [first, ...rest] = accepted;
  if (first !== undefined) return { kind: "value", accepted: [first, ...rest], orAbsent };
  if (orAbsent) return { kind: "absent" };
  place.say(`${place.path}.any`, "has no accepted value");
  return undefined;
}

function scalarOf(value: unknown, place: Place): Scalar | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value !== "number") {
    place.say(place.path, "is not a text, number, true, false or null");
    return undefined;
  }
  // JSON.parse silently turns 1e999 into Infinity and changes digits of 12345678901234567890.
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value;
  place.say(place.path, "is a number that loses digits: write it as a text, as it is printed");
  return undefined;
}

/** A name for use in an error: callers chose it, so it is shortened and control characters are replaced. */
function shown(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what goes.
  return name.slice(0, 60).replaceAll(/[\u0000-\u001f\u007f]/g, "?");
}
