import * as z from "zod";

/**
 * Hrana over HTTP, JSON encoding: the part that is the same in versions 2 and 3.
 * Source: https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md
 */

const minInteger = -(2n ** 63n);
const maxInteger = 2n ** 63n - 1n;

const integer = z
  .string()
  .regex(/^[+-]?\d{1,19}$/)
  .transform((text) => BigInt(text))
  .refine((value) => value >= minInteger && value <= maxInteger, "not a 64-bit integer");

const value = z.discriminatedUnion("type", [
  z.object({ type: z.literal("null") }).transform(() => null),
  z.object({ type: z.literal("integer"), value: integer }).transform((from) => from.value),
  z.object({ type: z.literal("float"), value: z.number() }).transform((from) => from.value),
  z.object({ type: z.literal("text"), value: z.string() }).transform((from) => from.value),
  z
    .object({ type: z.literal("blob"), base64: z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/) })
    // A copy: a Buffer from the pool would show other requests' bytes through `.buffer`.
    .transform((from) => new Uint8Array(Buffer.from(from.base64, "base64"))),
]);

const sqlSource = { sql: z.string().nullish(), sql_id: z.int32().nullish() };

const statement = z.object({
  ...sqlSource,
  args: z.array(value).nullish(),
  named_args: z.array(z.object({ name: z.string(), value })).nullish(),
  want_rows: z.boolean().nullish(),
});

/** When a batch step runs. Depth is bounded by `maxConditionDepth`, not by the caller. */
export type Condition =
  | { type: "ok" | "error"; step: number }
  | { type: "not"; cond: Condition }
  | { type: "and" | "or"; conds: Condition[] }
  | { type: "is_autocommit" };

const condition: z.ZodType<Condition> = z.lazy(() =>
  z.discriminatedUnion("type", [
    z.object({ type: z.enum(["ok", "error"]), step: z.int().min(0) }),
    z.object({ type: z.literal("not"), cond: condition }),
    z.object({ type: z.enum(["and", "or"]), conds: z.array(condition) }),
    z.object({ type: z.literal("is_autocommit") }),
  ]),
);

const batch = z.object({
  steps: z.array(z.object({ condition: condition.nullish(), stmt: statement })),
});

const streamRequest = z.discriminatedUnion("type", [
  z.object({ type: z.literal("close") }),
  z.object({ type: z.literal("execute"), stmt: statement }),
  z.object({ type: z.literal("batch"), batch }),
  z.object({ type: z.literal("sequence"), ...sqlSource }),
  z.object({ type: z.literal("describe"), ...sqlSource }),
  z.object({ type: z.literal("store_sql"), sql_id: z.int32(), sql: z.string() }),
  z.object({ type: z.literal("close_sql"), sql_id: z.int32() }),
  z.object({ type: z.literal("get_autocommit") }),
]);

export const pipelineRequest = z.object({ baton: z.string().nullish(), requests: z.array(streamRequest) });

export const cursorRequest = z.object({ baton: z.string().nullish(), batch });

export type Batch = z.output<typeof batch>;
export type Statement = z.output<typeof statement>;
export type StreamRequest = z.output<typeof streamRequest>;
export type SqlSource = { sql?: string | null | undefined; sql_id?: number | null | undefined };
/** What SQLite holds; INTEGER is always a bigint and REAL always a number, so no bit and no type is lost. */
export type SqlValue = null | bigint | number | string | Uint8Array;

type WireValue =
  | { type: "null" }
  | { type: "integer"; value: string }
  | { type: "float"; value: number }
  | { type: "text"; value: string }
  | { type: "blob"; base64: string };

export type WireError = { message: string; code: string };

export type StatementResult = {
  cols: { name: string; decltype: string | null }[];
  rows: WireValue[][];
  affected_row_count: number;
  last_insert_rowid: string | null;
};

export type BatchResult = {
  step_results: (StatementResult | null)[];
  step_errors: (WireError | null)[];
};

export type StreamResponse =
  | { type: "close" | "sequence" | "store_sql" | "close_sql" }
  | { type: "execute"; result: StatementResult }
  | { type: "batch"; result: BatchResult }
  | { type: "describe"; result: DescribeResult }
  | { type: "get_autocommit"; is_autocommit: boolean };

type DescribeResult = {
  params: { name: string | null }[];
  cols: { name: string; decltype: string | null }[];
  is_explain: boolean;
  is_readonly: boolean;
};

/** ES2025's JSON.rawJSON, which TypeScript's es2024 library does not know yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): number };

/**
 * A SQLite value for JSON.stringify. Integers travel as strings (JSON's numbers end at 2^53). Infinity has no
 * JSON number, but every parser reads 1e999 as Infinity; negative zero would lose its sign.
 */
export function encode(value: SqlValue): WireValue {
  if (value === null) return { type: "null" };
  if (typeof value === "bigint") return { type: "integer", value: value.toString() };
  if (typeof value === "string") return { type: "text", value };
  if (typeof value === "number") {
    if (Object.is(value, -0)) return { type: "float", value: rawJSON("-0.0") };
    if (Number.isFinite(value)) return { type: "float", value };
    return { type: "float", value: rawJSON(value > 0 ? "1e999" : "-1e999") };
  }
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { type: "blob", base64: bytes.toString("base64") };
}
