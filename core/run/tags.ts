import * as z from "zod";
import { batches } from "#spec/limits";

/** Tags: names chosen by the caller, with values, for what an item belongs to (`{"store": "12"}`). */
export type Tags = Readonly<Record<string, string>>;

const { tags: most, tagNameLength, tagValueLength } = batches;

const Name = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,${tagNameLength - 1}}$`),
    `must be 1 to ${tagNameLength} of the characters A to Z, a to z, 0 to 9, '_', '.' and '-', beginning with a letter or digit`,
  );

const control = "\\x00-\\x1f\\x7f-\\x9f";
const Value = z
  .string()
  .max(tagValueLength)
  .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), "control characters are not allowed")
  // A blank value belongs to no slice, so it would be silently ignored.
  .refine((text) => /\S/.test(text), "must not be blank")
  // Both patterns, for engines without Unicode classes.
  .meta({ pattern: `^[^${control}]*[^${control}\\x20\\xa0][^${control}]*$` });

/** The tags of a manifest's line: they come back with the item, and are slices of its evaluations. */
export const Tags = z
  .record(Name, Value)
  .refine((tags) => Object.keys(tags).length <= most, `must have at most ${most} tags`)
  .meta({
    maxProperties: most,
    description: `What the item belongs to, such as \`{"store": "12"}\`: it comes back in the results, and evaluations have the figures of each value.`,
  });

/** zod silently leaves this name out of a record, and no object should have it. */
const unsafe = "__proto__";

/** The mistakes in the tags of a line that the schema cannot express. */
export function problem(line: unknown): { path: string; message: string } | undefined {
  const tags = typeof line === "object" && line !== null && "tags" in line ? line.tags : undefined;
  const found = typeof tags === "object" && tags !== null && Object.hasOwn(tags, unsafe);
  return found ? { path: `tags.${unsafe}`, message: "has a name that is not allowed" } : undefined;
}
