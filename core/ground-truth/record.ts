import type { Issue } from "#core/error";

/*
 * What people say stands on a paper. A record is a picture's name and its labels; the labels have the names of the
 * task's fields, and only those that are there are scored.
 */

/** The member of a record that names its picture, unless a run says another (`gt_image_key`). */
export const defaultImageKey = "file";

/** What is labelled of one value. A field that has no label at all is not scored. */
export type Labelled =
  /** Written as null or "": the paper does not have it. */
  | { kind: "absent" }
  /** Written as "?": the paper has it and people cannot read it. */
  | { kind: "unreadable" }
  /**
   * What is printed, one value at least: the first is the one that is shown and compared where only one can be. With
   * `orAbsent` (a null in `{"any": […]}`) no value is right too.
   */
  | { kind: "value"; accepted: readonly [Scalar, ...Scalar[]]; orAbsent: boolean };

/** Strings are as written, with the spaces around them; numbers are finite and lose no digit. */
export type Scalar = string | number | boolean;

/** A value, a group of named ones, or a list of rows. A list that is empty says that the paper has no row. */
export type Label =
  | Labelled
  | { kind: "group"; members: ReadonlyMap<string, Label> }
  | { kind: "rows"; rows: readonly Label[] };

/** One record of a ground truth: all that is labelled of one document. */
export interface GroundTruth {
  /** Its place in what was given, from 0. */
  index: number;
  /** What the record calls its picture: a path or a file's name, with `#2` for the second document on it. */
  image: string | undefined;
  labels: ReadonlyMap<string, Label>;
}

/** The nesting of labels that is read: a row's fields lie three deep, and no task comes near it. */
const maxDepth = 16;
/** How long a name is in a report or an error. */
const maxNameLength = 200;

const unreadable = "?";

/** A record that was read, or everything that is wrong with it. */
type Parsed = { record: GroundTruth; issues?: never } | { record?: never; issues: Issue[] };

/**
 * Reads one record: `{file, fields: {…}}`, where what lies beside `fields` is a remark and not scored, or the labels
 * flat beside the picture's name. Dotted names (`totals.total`) are the paths that they say. Every mistake is returned,
 * with its path and without its value.
 * @param at.index - the record's place, from 0; @param at.imageKey - which member names the picture.
 */
export function parse(value: unknown, at: { index: number; imageKey?: string }): Parsed {
  const imageKey = at.imageKey ?? defaultImageKey;
  const issues: Issue[] = [];
  const say = (path: string, message: string) =>
    issues.push({ path: [`records.${at.index}`, path].filter(Boolean).join("."), message });
  if (!isGroup(value)) {
    say("", "is no record: a record is an object");
    return { issues };
  }
  const { fields } = value;
  const under = isGroup(fields);
  if (!under && fields !== undefined && fields !== null) say("fields", "is no object of labels");
  const flat = Object.fromEntries(Object.entries(value).filter(([name]) => name !== imageKey));
  const labels = new Map<string, Label>();
  membersOf(under ? fields : flat, { path: under ? "fields" : "", depth: 1, say }, labels);
  const image = imageOf(value, imageKey);
  if (image === null) say(imageKey, "names the picture: a text that is not empty");
  return issues.length > 0 ? { issues } : { record: { index: at.index, image: image ?? undefined, labels } };
}

/** What the record calls its picture; undefined when it says nothing, null when that is no name. */
function imageOf(record: Readonly<Record<string, unknown>>, imageKey: string): string | null | undefined {
  const value = Object.hasOwn(record, imageKey) ? record[imageKey] : undefined;
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" && value.trim() !== "" && value.length <= 1000 ? value : null;
}

/**
 * The labels as plain JSON with one value each: the first that is accepted, null where the paper has none or it cannot
 * be read. For metrics of others, which know no more.
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

/** The label as people write it: what `parse` reads as the same label again. */
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

/** Puts the labels of a group's members into `into`; dotted names go where they say. */
function membersOf(group: Record<string, unknown>, place: Place, into: Map<string, Label>): void {
  for (const [name, value] of Object.entries(group)) {
    const path = place.path === "" ? shown(name) : `${place.path}.${shown(name)}`;
    const parts = name.split(".");
    // `a.any` would come back as a choice.
    const no = parts.some((part, i) => part === "" || part === "__proto__" || (part === "any" && i > 0));
    if (no || name.length > maxNameLength) {
      place.say(path, "is no name of a field");
      continue;
    }
    const label = labelOf(value, { ...place, path, depth: place.depth + parts.length - 1 });
    if (label === undefined) continue;
    if (!put(into, parts, label)) place.say(path, "is labelled twice");
  }
}

/** @returns false when something is labelled there already. */
function put(into: Map<string, Label>, parts: readonly string[], label: Label): boolean {
  const [first = "", ...rest] = parts;
  const there = into.get(first);
  if (rest.length === 0 && label.kind !== "group") {
    if (there !== undefined) return false;
    into.set(first, label);
    return true;
  }
  if (there !== undefined && there.kind !== "group") return false;
  // Made here or by an earlier member of the same group: no one else holds it.
  const members = new Map(there?.members);
  into.set(first, { kind: "group", members });
  if (rest.length > 0) return put(members, rest, label);
  return label.kind !== "group" || [...label.members].every(([name, each]) => put(members, [name], each));
}

/** The label that a value is; undefined when it is none, which has been said then. */
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
  if (isGroup(value)) return isChoice(value) ? choiceOf(value.any, place) : groupOf(value, place);
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

/** `{"any": […]}`, and nothing beside it. */
const isChoice = (value: Record<string, unknown>): value is { any: unknown[] } =>
  Array.isArray(value.any) && Object.keys(value).length === 1;

function choiceOf(values: readonly unknown[], place: Place): Labelled | undefined {
  const accepted: Scalar[] = [];
  let orAbsent = false;
  for (const [i, value] of values.entries()) {
    const label = labelOf(value, { ...place, path: `${place.path}.any.${i}`, depth: place.depth + 1 });
    if (label === undefined) return undefined;
    if (label.kind === "absent") orAbsent = true;
    else if (label.kind === "value") accepted.push(...label.accepted);
    else {
      place.say(`${place.path}.any.${i}`, "is no single value that would be right");
      return undefined;
    }
  }
  const [first, ...rest] = accepted;
  if (first !== undefined) return { kind: "value", accepted: [first, ...rest], orAbsent };
  if (orAbsent) return { kind: "absent" };
  place.say(`${place.path}.any`, "has no value that would be right");
  return undefined;
}

function scalarOf(value: unknown, place: Place): Scalar | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value !== "number") {
    place.say(place.path, "is no text, number, true, false or null");
    return undefined;
  }
  // JSON.parse makes Infinity of 1e999 and other digits of 12345678901234567890, without a word.
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value;
  place.say(place.path, "is a number that loses digits: write it as a text, as it is printed");
  return undefined;
}

/** A name as it may stand in an error: callers chose it, so it is cut and has nothing that breaks a line. */
function shown(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what goes.
  return name.slice(0, 60).replaceAll(/[\u0000-\u001f\u007f]/g, "?");
}
