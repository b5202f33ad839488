/**
 * Violates every bound of every request's schema, one by one: types, null, limits, patterns, choices, unknown names.
 * Each message is our own, names the bound, and contains nothing of the input.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import * as Issue from "#core/issue";
import { ManifestLine } from "#core/run/schema";
import type { Operation } from "#functions/request/operation";
import * as Functions from "#spec/functions";

const root = resolve(import.meta.dirname, "..");
/** Wrong input begins with this text, which no answer may contain. */
const marker = "zq#sent";

interface Def {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  element?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  checks?: { _zod: { def: { check: string; minimum?: number; maximum?: number; value?: number } } }[];
}
const defOf = (schema: z.ZodType) => schema._zod.def as unknown as Def;

interface Leaf {
  path: (string | number)[];
  schema: z.ZodType;
  optional: boolean;
}

/** Every schema below one, with its path. */
function leaves(schema: z.ZodType, path: (string | number)[] = [], optional = false): Leaf[] {
  const def = defOf(schema);
  if (def.innerType ?? def.in)
    return leaves(
      (def.innerType ?? def.in) as z.ZodType,
      path,
      optional || def.type === "optional" || def.type === "default",
    );
  const own: Leaf = { path, schema, optional };
  if (def.shape)
    return [own, ...Object.entries(def.shape).flatMap(([name, child]) => leaves(child, [...path, name]))];
  return def.element ? [own, ...leaves(def.element, [...path, 0])] : [own];
}

/** An input with a value at one place, and only what is needed to get there. */
function placed(path: readonly (string | number)[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  return typeof first === "number" ? [placed(rest, value)] : { [first]: placed(rest, value) };
}

interface Broken {
  value: unknown;
  names?: number;
}

/** Values that violate a schema, each with the number that the message must name. */
function broken({ schema }: Leaf): Broken[] {
  const types = [
    null,
    1e300,
    0.5,
    marker,
    "",
    true,
    [marker],
    { [marker]: 1 },
    { __proto__: null, [`${marker}x`]: 1 },
    [[]],
  ];
  const bounds = (defOf(schema).checks ?? []).flatMap(({ _zod: { def } }): Broken[] => {
    const list = defOf(schema).type === "array";
    const many = (n: number) =>
      list ? Array.from({ length: n }, () => marker) : marker.padEnd(n, "a").slice(0, n);
    if (def.check === "greater_than") return [{ value: Number(def.value) - 1, names: Number(def.value) }];
    if (def.check === "less_than") return [{ value: Number(def.value) + 1, names: Number(def.value) }];
    if (def.check === "max_length")
      return [{ value: many(Number(def.maximum) + 1), names: Number(def.maximum) }];
    if (def.check === "min_length" && Number(def.minimum) > 0)
      return [{ value: many(Number(def.minimum) - 1), ...(list ? { names: Number(def.minimum) } : {}) }];
    return [];
  });
  return [...types.map((value) => ({ value })), ...bounds];
}

let schemas: { name: string; schema: z.ZodType }[];

beforeAll(async () => {
  const handlers = new Set(Object.values(Functions.functions).map(({ handler }) => handler));
  const found = [...handlers].filter((handler) => handler.startsWith("functions/api/"));
  schemas = [{ name: "a manifest's line", schema: ManifestLine }];
  for (const handler of found) {
    const file = resolve(root, `${handler.slice(0, handler.lastIndexOf("."))}.ts`);
    const { operations = {} } = (await import(pathToFileURL(file).href)) as {
      operations?: Record<string, Operation>;
    };
    for (const [key, { params, query, body }] of Object.entries(operations))
      for (const [part, schema] of Object.entries({ params, query, body }))
        if (schema !== undefined) schemas.push({ name: `${key} ${part}`, schema });
  }
});

/** zod's message during the test if our own code sets none. */
const zods = "zod's own";
/** Signs of zod's own messages, and of leaked internals. */
const foreign =
  /zod's own|another form|invalid (input|string|option|key)|too (small|big)|expected|received|unrecognized|[<>]=|undefined|NaN/i;

beforeAll(() => {
  const { localeError } = z.config();
  z.config({ localeError: () => zods });
  return () => {
    z.config({ localeError });
  };
});

describe("mistakes in a request are reported in our own words", () => {
  test("whichever bound of whichever schema it breaks", () => {
    const seen = new Set<string>();
    let bounds = 0;
    expect(schemas.length).toBeGreaterThan(25);
    for (const { name, schema } of schemas) {
      for (const leaf of leaves(schema)) {
        const at = leaf.path.join(".");
        for (const { value, names } of broken(leaf)) {
          const sent = placed(leaf.path, value);
          const { issues = [] } = Issue.check(schema, sent);
          for (const { path, message } of issues) {
            const told = `${path}: ${message}`;
            if (told.includes(marker)) expect.fail(`${name} ${at} tells what was sent: ${told}`);
            if (seen.has(message)) continue;
            seen.add(message);
            expect(message, `${name} ${at}`).not.toMatch(foreign);
            expect(message, `${name} ${path}`).toMatch(/^[a-z\d].{2,400}[^.]$/);
          }
          if (names === undefined) continue;
          bounds += 1;
          expect(
            issues
              .filter(({ path }) => path === at)
              .map(({ message }) => message)
              .join("; "),
            `${name} ${at}`,
          ).toMatch(new RegExp(`\\b${names}\\b|must not be empty`));
        }
      }
    }
    expect(bounds).toBeGreaterThan(40);
    expect(seen.size).toBeGreaterThan(40);
    expect(ManifestLine.safeParse(null).error?.issues[0]?.message, "the test sees zod's own").toBe(zods);
  });
});
