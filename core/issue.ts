import type * as z from "zod";
import type { Issue } from "#core/error";
import * as Near from "#core/near";
import { shownName } from "#core/shown-name";

/*
 * Describes what is wrong with a value. zod's own texts use types and signs ("expected number to be >=60"). A message
 * that a schema defines itself takes precedence.
 */

/** The most unknown fields that are named. */
const namedKeys = 20;

/** A value that fits its schema, or all that is wrong with it. */
type Checked<T> = { data: T; issues?: never } | { data?: never; issues: Issue[] };

/**
 * Checks a value against its schema.
 * @param what - the noun for an unknown name: "field" or "query parameter".
 */
export function check<T>(schema: z.ZodType<T>, value: unknown, what = "field"): Checked<T> {
  const parsed = schema.safeParse(value, { error: (issue) => words(issue, schema) });
  if (parsed.success) return { data: parsed.data };
  return { issues: parsed.error.issues.flatMap((issue) => said(issue, schema, what)) };
}

function said(issue: z.core.$ZodIssue, root: z.ZodType, what: string): Issue[] {
  const path = issue.path.map(shownName).join(".");
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  const known = Object.keys(shapeOf(at(root, issue.path)) ?? {});
  return issue.keys.slice(0, namedKeys).map((key) => ({
    path: [path, shownName(key)].filter(Boolean).join("."),
    message: elsewhere(key, what) ?? `unknown ${what}${Near.choice(key, known)}`,
  }));
}

/** Where a name belongs that callers try in other places, too. */
function elsewhere(name: string, what: string): string | undefined {
  if (name !== "password") return undefined;
  return what === "field"
    ? "is accepted only by POST /v1/extract while the caller waits for the answer: it is never stored, so work in a queue could not open the file. Save the PDF without its password"
    : "is in JSON or a form, not in the address, which is logged on its way";
}

/** One issue as a predicate, which follows the path: "must be a whole number from 1 to 64". */
function words(issue: z.core.$ZodRawIssue, root: z.ZodType): string {
  const { input } = issue;
  const optional = isOptional(root, issue.path ?? []);
  if (input === undefined && issue.code !== "unrecognized_keys" && issue.code !== "custom")
    return `is missing${missing(issue)}`;
  switch (issue.code) {
    case "invalid_type":
      return `must be ${wish(issue)}, not ${kindOf(input, issue.expected)}${cure(issue.expected, input, optional, issue.path?.at(-1) === "image_base64")}`;
    case "invalid_value": {
      const names = issue.values.map(String);
      if (typeof input === "string" && issue.values.every((value) => typeof value === "string"))
        return `must be ${wish(issue)}${names.length === 1 ? "" : Near.hint(input, names)}`;
      return `must be ${wish(issue)}${input === null && optional ? leaveOut : ""}`;
    }
    case "too_small":
    case "too_big":
      if (issue.origin === "string" && input === "") return "must not be empty";
      return issue.origin === "string" || issue.origin === "array"
        ? `must have ${lengthOf(issue)}, not ${(input as string | unknown[]).length}`
        : `must be ${wish(issue)}`;
    case "invalid_format":
      return issue.format === "date"
        ? "must be a day that exists, such as 2026-11-23"
        : issue.format === "datetime"
          ? "must be a time such as 2026-11-23T08:00:00Z"
          : "has another form than is asked for here";
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_key":
      return `has a name that is not allowed: it ${issue.issues[0]?.message ?? "has another form"}`;
    case "invalid_union":
      return "is not one of the accepted forms";
    default:
      return "is not allowed";
  }
}

const leaveOut = ": leave it out instead";

/** What is missing, if that says more than the field's name: "text" does not. */
function missing(issue: z.core.$ZodRawIssue): string {
  const wanted = wish(issue);
  return plain.has(wanted) ? "" : `: ${wanted}`;
}

/** The expected value, as a noun with its bounds. */
function wish(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "invalid_value") {
    const names = issue.values.map((value) => (typeof value === "string" ? `\`${value}\`` : String(value)));
    return names.length === 1 ? String(names[0]) : `one of ${names.join(", ")}`;
  }
  const expected = issue.code === "invalid_type" ? issue.expected : "number";
  const noun = nouns[expected] ?? "something else";
  const { least, most } = boundsOf(issue.schema);
  if (expected === "int" || expected === "number") {
    const whole = expected === "int" || isWhole(issue.schema) ? "a whole number" : "a number";
    return `${whole}${range(least, most)}`;
  }
  return noun;
}

function range(least: number | undefined, most: number | undefined): string {
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (least !== undefined) return ` of at least ${least}`;
  return most === undefined ? "" : ` of at most ${most}`;
}

const plain: ReadonlySet<string> = new Set(["text", "an object", "something else"]);
const nouns: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** Characters of a text, entries of a list. */
function lengthOf(issue: z.core.$ZodRawIssue): string {
  const { least = 0, most } = boundsOf(issue.schema);
  const [one, many] =
    "origin" in issue && issue.origin === "string" ? ["character", "characters"] : ["entry", "entries"];
  const count = (n: number) => `${n} ${n === 1 ? one : many}`;
  if (most === undefined) return `at least ${count(least)}`;
  return least > 1
    ? `${least} to ${count(most)}`
    : issue.code === "too_small"
      ? `at least ${count(least)}`
      : `at most ${count(most)}`;
}

/** All bounds of a schema, for the whole sentence; zod reports only the one that was violated. */
function boundsOf(schema: z.core.$ZodType | undefined): { least?: number; most?: number } {
  const bounds: { least?: number; most?: number } = {};
  for (const check of (schema?._zod.def as { checks?: z.core.$ZodCheck[] } | undefined)?.checks ?? []) {
    const def = check._zod.def as unknown as {
      check: string;
      minimum?: number;
      maximum?: number;
      value?: number;
    };
    if (def.check === "greater_than") bounds.least = Number(def.value);
    if (def.check === "less_than") bounds.most = Number(def.value);
    if (def.check === "min_length") bounds.least = Number(def.minimum);
    if (def.check === "max_length") bounds.most = Number(def.maximum);
  }
  return bounds;
}

const isWhole = (schema: z.core.$ZodType | undefined) =>
  (schema?._zod.def as { format?: string } | undefined)?.format === "safeint";

/** The kind of the given value, without the value itself. */
function kindOf(value: unknown, expected: string): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return expected === "int" ? "a fraction" : "a number";
  if (typeof value === "boolean") return "a boolean";
  return typeof value === "string" ? "text" : typeof value === "object" ? "an object" : "what came";
}

function cure(expected: string, input: unknown, optional: boolean, isLong: boolean): string {
  if (input === null && optional) return leaveOut;
  const quoted =
    typeof input === "string" &&
    (((expected === "int" || expected === "number") && /^-?\d+(\.\d+)?$/.test(input)) ||
      (expected === "boolean" && /^(true|false)$/.test(input)));
  if (quoted) return ": leave out the quotes";
  // A picture's text is not a number, whatever surrounds it.
  if (expected === "string" && typeof input === "number") return isLong ? "" : ": put it in quotes";
  return expected === "array" && input !== null && typeof input !== "object" ? ": put it in [ ]" : "";
}

interface Def {
  type: string;
  innerType?: z.core.$ZodType;
  in?: z.core.$ZodType;
  element?: z.core.$ZodType;
  shape?: Record<string, z.core.$ZodType>;
}
const defOf = (schema: z.core.$ZodType | undefined) => schema?._zod.def as unknown as Def | undefined;

/** The inner schema without wrappers: optional, default, pipe. */
function bare(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  const inner = defOf(schema)?.innerType ?? defOf(schema)?.in;
  return inner === undefined ? schema : bare(inner);
}

const shapeOf = (schema: z.core.$ZodType | undefined) => defOf(bare(schema))?.shape;

/** The schema at a path; undefined if the path is unknown. */
function at(root: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let schema: z.core.$ZodType | undefined = root;
  for (const step of path) {
    const def: Def | undefined = defOf(bare(schema));
    schema = def?.element ?? def?.shape?.[String(step)];
  }
  return schema;
}

function isOptional(root: z.core.$ZodType, path: readonly PropertyKey[]): boolean {
  const schema = at(root, path);
  return schema !== undefined && schema !== root && schema._zod.optin !== undefined;
}
