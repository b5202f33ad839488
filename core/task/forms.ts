import { createHash } from "node:crypto";
import * as z from "zod";
import { formatChecks } from "./readers.ts";

/*
 * Formats of strings: which constraints a model server enforces, and which are removed before sending and checked
 * here. Servers turn a format into a grammar and drop a `pattern` beside it. Lengths and patterns exclude every
 * escape, so that `27"` ends at 27 and a second line is lost (xgrammar 0.2.8); so they are never sent.
 */

/** xgrammar's own string formats, but for `email` (refuses a@x.y.de) and `time` (demands a zone). */
const sentFormats = new Set([
  ...["date", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "uri", "uri-reference"],
  ...["uri-template", "json-pointer", "relative-json-pointer"],
]);
const checkedFormats = new Set([...sentFormats, "email", "time"]);
/** Other formats of JSON Schema and zod, listed so that an error may name them. */
const namedFormats = new Set([
  ...["idn-email", "idn-hostname", "iri", "iri-reference", "regex", "byte", "binary", "password"],
  ...["nanoid", "cuid", "cuid2", "ulid", "xid", "ksuid", "base64", "base64url", "e164", "jwt", "emoji"],
  ...["cidrv4", "cidrv6", "mac", "hex", "lowercase", "uppercase", "json-string"],
  ...["starts_with", "ends_with", "includes"],
]);

const jsonPointer = "(?:\\/(?:[^~/]|~[01])*)*";
const patterns = {
  "json-pointer": new RegExp(`^${jsonPointer}$`),
  "relative-json-pointer": new RegExp(`^(?:0|[1-9]\\d*)(?:#|${jsonPointer})$`),
  "uri-template": /^(?:[^\s{}]|\{[^{}\s]+\})*$/,
  // RFC 3339's full-time, and without a zone, as tills print it.
  time: /^(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d+)?)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$/,
};
const fits = (schema: z.ZodType) => (value: string) => schema.safeParse(value).success;
const matches = (pattern: RegExp) => (value: string) => pattern.test(value);

/** The check of each format, by JSON Schema's meaning; including our own (`x-money`). */
export function formatAssertions(): Record<string, (value: string) => boolean> {
  return {
    ...formatChecks,
    email: fits(z.email()),
    date: fits(z.iso.date()),
    "date-time": fits(z.iso.datetime({ offset: true })),
    duration: fits(z.iso.duration()),
    ipv4: fits(z.ipv4()),
    ipv6: fits(z.ipv6()),
    hostname: fits(z.hostname()),
    uuid: fits(z.guid()),
    uri: (value) => URL.canParse(value),
    "uri-reference": (value) => !/[\s<>"{}|\\^`]/.test(value) && URL.canParse(value, "http://host"),
    ...Object.fromEntries(Object.entries(patterns).map(([name, pattern]) => [name, matches(pattern)])),
  };
}

/**
 * The constraints of a string: keywords that are sent, keywords that are checked here, and keywords that are refused.
 */
interface Form {
  sent: { format?: string };
  checked: { format?: string; pattern?: string };
  /** Keywords, with what is wrong with them. */
  refused: { keyword: "format" | "pattern" | "contentEncoding"; message?: string }[];
}

/** Sorts `format`, `pattern` and `contentEncoding` of a string; a caller's pattern is never compiled. */
export function formOf(node: Record<string, unknown>): Form {
  const { format, pattern, contentEncoding } = node;
  const form: Form = { sent: {}, checked: {}, refused: [] };
  const known = typeof pattern === "string" && isOwnPattern(pattern, format);
  if (known) form.checked.pattern = pattern;
  else if (pattern !== undefined) form.refused.push({ keyword: "pattern" });
  if (contentEncoding !== undefined && !(known && contentEncoding === format))
    form.refused.push({ keyword: "contentEncoding" });
  if (typeof format === "string" && (checkedFormats.has(format) || Object.hasOwn(formatChecks, format))) {
    if (sentFormats.has(format)) form.sent.format = format;
    // The pattern is zod's meaning of its format, which may differ from JSON Schema's.
    if (!known) form.checked.format = format;
  } else if (format !== undefined && !known) {
    const name = typeof format === "string" && namedFormats.has(format) ? `format ${format}` : "format";
    form.refused.push({
      keyword: "format",
      message: `${name} is not one that model servers hold: check the form after the answer`,
    });
  }
  return form;
}

/** Prefixes of the sha256 of patterns that zod 4.0 to 4.5 wrote and the current version does not. */
const olderPatterns = new Set([
  ...["195b6be433701790", "ea09695722f299cd", "e114a031b6d126c2", "29a54cafeb5f46a0", "104681b597924aae"],
  ...["cc704c88d24f900c", "af83d8e75412f10a", "9605dac0d8212c04", "0c833d82300e202f", "93e13c55ce4c5e34"],
  ...["6c369d9dddfb4198", "30a5cd4b5ef3186c", "c876175166d43d28", "bf55df5e7d7d3033", "1f7ac7c594d4223c"],
  ...["491d5e56b4e224b1", "029abff290117a95", "8c55b5fb2d81d810", "54e516c15d2f4bcc", "7aaf068cefa0ec87"],
]);
const maxPatternLength = 2_000;
const escapedText = "(?:[^\\\\^$.*+?()[\\]{}|]|\\\\[^a-zA-Z0-9])*";
/** Patterns of `startsWith`, `endsWith` and `includes`: a literal text and `.*`, which are fast on every text. */
const literals: Record<string, RegExp> = {
  starts_with: new RegExp(`^\\^${escapedText}\\.\\*$`),
  ends_with: new RegExp(`^\\.\\*${escapedText}\\$$`),
  includes: new RegExp(`^${escapedText}$`),
};
let current: ReadonlySet<string> | undefined;

/**
 * True if zod's `toJSONSchema` writes this pattern, with this format or alone (times, local date-times). Those patterns
 * are known to be fast on every text; no other pattern is compiled.
 */
function isOwnPattern(pattern: string, format: unknown): boolean {
  if (pattern.length > maxPatternLength) return false;
  if (typeof format === "string" && Object.hasOwn(literals, format))
    return literals[format]?.test(pattern) === true;
  current ??= currentPatterns();
  if (current.has(`${format} ${pattern}`)) return true;
  const older = olderPatterns.has(createHash("sha256").update(pattern).digest("hex").slice(0, 16));
  return older && typeof format === "string" && (checkedFormats.has(format) || namedFormats.has(format));
}

function currentPatterns(): ReadonlySet<string> {
  const precisions = [undefined, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((precision) =>
    precision === undefined ? {} : { precision },
  );
  const dateTimes = [{}, { offset: true }, { local: true }, { local: true, offset: true }];
  const schemas = [
    ...precisions.map((precision) => z.iso.time(precision)),
    ...precisions.flatMap((precision) => dateTimes.map((how) => z.iso.datetime({ ...precision, ...how }))),
    ...[z.iso.date(), z.iso.duration(), z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6(), z.mac(), z.hostname()],
    ...[undefined, z.regexes.html5Email, z.regexes.unicodeEmail].map((pattern) =>
      pattern === undefined ? z.email() : z.email({ pattern }),
    ),
    ...[z.guid(), z.uuid(), z.uuidv4(), z.uuidv6(), z.uuidv7(), z.nanoid(), z.cuid(), z.cuid2(), z.ulid()],
    ...(["v1", "v2", "v3", "v5", "v8"] as const).map((version) => z.uuid({ version })),
    ...[z.xid(), z.ksuid(), z.base64(), z.base64url(), z.e164(), z.hex(), z.emoji()],
    ...[z.string().lowercase(), z.string().uppercase()],
  ];
  const written = schemas.map((schema) => z.toJSONSchema(schema));
  return new Set(written.map(({ format, pattern }) => `${format} ${pattern}`));
}
