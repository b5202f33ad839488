import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guards } from "#spec/guards";

/** The table of docs/documents.md against spec/guards.ts. */

const root = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const rows = read("docs/documents.md")
  .split("\n")
  .flatMap((line) => {
    const [, name, limit, error, file] =
      /^\| `(\w+\.\w+)`: .* \| ([\d,]+) \| (.+) \| `(.+)` \|$/.exec(line) ?? [];
    return name === undefined || limit === undefined ? [] : [{ name, limit, error, file: file ?? "" }];
  });
const numbers = Object.entries(guards).flatMap(([of, numbers]) =>
  Object.entries(numbers as Record<string, number>).map(([name, value]) => [`${of}.${name}`, value] as const),
);

test("each guard is in the table, with its limit", () => {
  expect(rows.map(({ name, limit }) => [name, Number(limit.replaceAll(",", ""))])).toEqual(numbers);
});

test.each(rows)(
  "the error of $name is in docs/errors.md, and in its test or its code",
  ({ error = "", file }) => {
    const test = read(file);
    for (const [, reason = ""] of error.matchAll(/`(\w+)`/g)) {
      expect(test).toContain(reason);
      expect(read("docs/errors.md")).toContain(reason);
    }
  },
);
