/**
 * Calls that are made from the OpenAPI document alone: every operation, with valid and invalid values, and with ids,
 * addresses and cursors from earlier answers. The document must describe each answer.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import fc from "fast-check";
import type { TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64, picture } from "#test/support/pictures";
import document from "../../docs/openapi.json" with { type: "json" };

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  minItems?: number;
}
interface Parameter {
  $ref?: string;
  in?: string;
  name?: string;
  required?: boolean;
  schema?: Schema;
}
interface Media {
  schema?: Schema;
}
interface Operation {
  key: string;
  method: string;
  path: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { $ref?: string; content?: Record<string, Media> }>;
}

const operations: Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    ...(operation as unknown as Operation),
    key: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
  })),
);

/** Called more often, because other calls need what they make. */
const makers = operations.filter(({ key }) => /^POST \/v1\/(extract|uploads|batch_extract)$/.test(key));

const resolve = <T extends { $ref?: string }>(value: T): T => {
  if (value.$ref === undefined) return value;
  const found = value.$ref
    .slice(2)
    .split("/")
    .reduce((at: unknown, name) => (at as Record<string, unknown>)[name], document);
  return resolve(found as T);
};

/** Values from earlier answers, by the names of parameters and fields. */
type Pool = Map<string, string[]>;
const aliases: Readonly<Record<string, string>> = {
  ref: "image_ref",
  source_run_id: "run_id",
  image_key: "path",
};
const most = 40;

function keep(pool: Pool, value: unknown): void {
  if (Array.isArray(value)) for (const each of value) keep(pool, each);
  if (typeof value !== "object" || value === null) return;
  for (const [name, each] of Object.entries(value)) {
    if (typeof each === "object") keep(pool, each);
    const kept = name === "next_cursor" ? "cursor" : name;
    if (typeof each !== "string" || !/_id$|_ref$|^cursor$|^path$|^date$/.test(kept)) continue;
    pool.set(kept, [each, ...(pool.get(kept) ?? [])].slice(0, most));
  }
}

/** Values for a schema: from earlier answers, valid ones, and sometimes invalid ones. */
function valueFor(schema: Schema, name: string, pool: Pool, depth = 0): fc.Arbitrary<unknown> {
  const known = pool.get(aliases[name] ?? name) ?? [];
  const { type, enum: values, anyOf, oneOf, properties, ...rest } = resolve(schema);
  const kind = Array.isArray(type) ? (type.find((each) => each !== "null") ?? "null") : type;
  const junk = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom<unknown>(
        "",
        " ",
        "0",
        "-1",
        "1e3",
        "null",
        "\u0000",
        "..",
        "~1",
        "é",
        "%00",
      ),
    },
    { weight: 2, arbitrary: fc.string({ maxLength: 40, unit: "grapheme" }) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  );
  const right = (): fc.Arbitrary<unknown> => {
    if (rest.const !== undefined) return fc.constant(rest.const);
    if (values !== undefined) return fc.constantFrom(...values);
    const choices = anyOf ?? oneOf;
    if (choices !== undefined)
      return fc.oneof(...choices.map((each) => valueFor(each, name, pool, depth + 1)));
    if (kind === "integer" || kind === "number")
      return fc.integer({ min: rest.minimum ?? 0, max: Math.min(rest.maximum ?? 1_000, 1_000) });
    if (kind === "boolean") return fc.boolean();
    if (kind === "array")
      return fc.array(valueFor(rest.items ?? {}, name, pool, depth + 1), {
        minLength: rest.minItems ?? 0,
        maxLength: 3,
      });
    if (kind === "object" && depth < 4)
      return objectOf({ ...rest, properties: properties ?? {} }, pool, depth);
    return fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,20}$/);
  };
  return fc.oneof(
    ...(known.length === 0 ? [] : [{ weight: 60, arbitrary: fc.constantFrom<unknown>(...known) }]),
    { weight: 36, arbitrary: right() },
    { weight: 1, arbitrary: junk },
  );
}

function objectOf(schema: Schema, pool: Pool, depth: number): fc.Arbitrary<unknown> {
  const names = Object.keys(schema.properties ?? {});
  const required = schema.required ?? [];
  const fields = Object.fromEntries(
    names.map((name) => [name, valueFor(schema.properties?.[name] ?? {}, name, pool, depth + 1)]),
  );
  const optional = names.filter((name) => !required.includes(name));
  return fc
    .record({ all: fc.record(fields), without: fc.subarray(optional), broken: fc.nat(40) })
    .map(({ all, without, broken }) => {
      const made: Record<string, unknown> = Object.fromEntries(
        Object.entries(all).filter(([name]) => !without.includes(name)),
      );
      if (broken === 0) made.surprise = 1;
      if (broken === 1 && required[0] !== undefined) delete made[required[0]];
      return made;
    });
}

/** A body that is often useful: one source of the picture, and some real pictures. */
function sensible(operation: Operation, body: unknown, pictures: readonly string[], n: number): unknown {
  if (typeof body !== "object" || body === null || n % 12 === 0) return body;
  const given = body as Record<string, unknown>;
  const drop = (...names: string[]) => {
    for (const name of names) delete given[name];
  };
  if (operation.key === "POST /v1/extract") {
    const inline = n % 4 !== 0;
    if (inline || n % 8 === 0) drop("image_url", "debug");
    drop(inline ? "image_ref" : "image_base64");
    // Sometimes an invalid one.
    if (inline) given.image_base64 = pictures[n % 10 === 0 ? n % pictures.length : n % 3];
    if (n % 5 !== 0) given.task_id = "receipt_fields_v1";
  }
  if (operation.key === "POST /v1/batch_extract") {
    if (n % 2 === 0) drop("manifest_ref", "images_dir", "glob", "exts");
    if (n % 4 !== 0) drop("webhook_url", "task_id");
    if (Array.isArray(given.manifest) && n % 5 !== 0)
      given.manifest = [{ image_key: "shared/a.jpg" }, { image_key: "shared/b.jpg", custom_id: `c-${n}` }];
  }
  if (operation.key === "POST /v1/uploads" && n % 4 !== 0)
    Object.assign(given, { mime_type: "image/jpeg", bytes: 1_000, kind: n % 3 === 0 ? "data" : "image" });
  return given;
}

interface Planned {
  path: string;
  method: string;
  headers: Record<string, string>;
  key: string | null;
  json?: unknown;
  body?: string | Uint8Array<ArrayBuffer>;
}

export interface Fuzzed {
  calls: number;
  statuses: Record<string, number>;
  /** Answers that must not have been given. */
  wrong: string[];
}

export interface FuzzOptions {
  calls: number;
  seed: number;
  /** Calls at a time. */
  parallel: number;
  /** Every this many calls the model server fails for a tenth of them. */
  faultEvery?: number;
}

/** Keys of several kinds, to reach scopes, limits and other keys' objects. */
export interface Keys {
  admin: string;
  client: string;
  limited: string;
}

/** A whole answer of the default task, and one that its schema refuses. */
const some = { total: "12.00", subtotal: "10.00", tax: "2.00" };
const fields = { ...some, service: null, discount: null, cash: null, card: null, change: null };

/** Makes the calls; `pictures` lie below the data root as `shared/a.jpg` and `shared/b.jpg`. */
export async function fuzz(
  loop: TestLoop,
  model: ModelServer.ModelServer,
  keys: Keys,
  { calls, seed, parallel, faultEvery = Number.POSITIVE_INFINITY }: FuzzOptions,
): Promise<Fuzzed> {
  const pool: Pool = new Map([["task_id", ["receipt_fields_v1", "items_light_v1"]]]);
  const pictures = [...(await Promise.all([1, 2, 3].map((n) => base64(n)))), "AAAA", "not base64!"];
  const bytes = await picture(4);
  const judge = judgeOf();
  const result: Fuzzed = { calls: 0, statuses: {}, wrong: [] };
  let faultsUntil = 0;
  let n = 0;
  const failing: ModelServer.Respond = (_request, k) =>
    [
      ModelServer.error(500, "broken"),
      ModelServer.html(502),
      { kind: "reset" } as const,
      ModelServer.text("no JSON"),
    ][k % 4] ?? ModelServer.json(fields);
  const once = async (at: number) => {
    const failsNow = at % faultEvery >= faultEvery * 0.9;
    model.respond = failsNow ? failing : (_request, k) => ModelServer.json(k % 4 === 0 ? some : fields);
    // Until the calls that met the fault have ended, and the breaker has closed.
    if (failsNow) faultsUntil = Date.now() + 30_000;
    const planned = plan(pool, pictures, bytes, keys, seed + at);
    const operation = planned.operation;
    const mayFail = () => Date.now() < faultsUntil;
    const before = mayFail();
    const answer = await loop.call(planned.path, planned);
    result.calls += 1;
    const count = `${operation.key} ${answer.status}`;
    result.statuses[count] = (result.statuses[count] ?? 0) + 1;
    if (answer.status < 300) keep(pool, answer.body);
    const complaint = judge(operation, planned.method, answer, before || mayFail());
    if (complaint !== undefined)
      result.wrong.push(
        `seed ${seed + at}: ${planned.method} ${planned.path} ${shown(planned)}: ${complaint}`,
      );
  };
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (n < calls) {
        n += 1;
        await once(n);
      }
    }),
  );
  return result;
}

const shown = ({ json, headers }: Planned) =>
  `${JSON.stringify({ json, headers }).slice(0, 400)}`.replaceAll(/[A-Za-z0-9+/]{80,}/g, "…");

/** Draws a value; the salt tells the draws of one call from each other. */
type Draw = <T>(arbitrary: fc.Arbitrary<T>, salt: number) => T;

function plan(
  pool: Pool,
  pictures: readonly string[],
  bytes: Buffer,
  keys: Keys,
  seed: number,
): Planned & { operation: Operation } {
  const draw: Draw = <T>(arbitrary: fc.Arbitrary<T>, salt: number): T =>
    fc.sample(arbitrary, { seed: seed * 31 + salt, numRuns: 1 })[0] as T;
  const operation = draw(fc.constantFrom(...operations, ...makers, ...makers, ...makers), 1);
  const path = address(operation, pool, draw);
  const headers = headersOf(draw);
  const key = keyOf(keys, draw);
  const head = operation.method === "GET" && draw(fc.nat(14), 9) === 0;
  const method = head ? "HEAD" : operation.method;
  const planned = { operation, path, method, headers, key };
  const content = operation.requestBody?.content;
  if (content === undefined) return planned;
  const odd = draw(fc.nat(29), 60);
  if (odd === 0)
    return { ...planned, body: "{", headers: { ...headers, "content-type": "application/json" } };
  if (odd === 1) return { ...planned, body: "x", headers: { ...headers, "content-type": "text/plain" } };
  const types = Object.entries(content);
  // The first is the most common one; the others are other ways to send the same.
  const [type = "", media] = types[Math.max(0, draw(fc.nat(types.length * 2), 63) - types.length)] ?? [];
  if (type === "multipart/form-data") {
    const field = operation.path === "/v1/extract" ? "file" : "files";
    return { ...planned, ...form(bytes, headers, draw(fc.nat(5), 61), field) };
  }
  if (type !== "" && type !== "application/json")
    return { ...planned, body: new Uint8Array(bytes), headers: { ...headers, "content-type": type } };
  const body = draw(valueFor(media?.schema ?? {}, "body", pool), 62);
  return { ...planned, json: sensible(operation, body, pictures, seed) };
}

/** The operation's path and query with drawn parameters. */
function address(operation: Operation, pool: Pool, draw: Draw): string {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const [i, given] of (operation.parameters ?? []).entries()) {
    const { in: place, name = "", schema = {}, required } = resolve(given);
    if (place === "header") continue;
    const value = textOf(draw(valueFor(schema, name, pool), 10 + i));
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value) || "x");
    else if (required || draw(fc.nat(2), 40 + i) === 0) query.set(name, value);
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

/** Each header in one of ten calls. */
function headersOf(draw: Draw): Record<string, string> {
  const headers: Record<string, string> = {};
  const waits = ["respond-async", "wait=0", "wait=1", "wait=x", "wait=3, respond-async"];
  if (draw(fc.nat(9), 2) === 0) headers["idempotency-key"] = `key-${draw(fc.nat(30), 3)}`;
  if (draw(fc.nat(9), 4) === 0) headers.prefer = draw(fc.constantFrom(...waits), 5);
  if (draw(fc.nat(9), 6) === 0)
    headers["x-request-id"] = draw(fc.constantFrom("r-1", "..", "ok_1", "a".repeat(200)), 7);
  return headers;
}

/** Most calls have a key that may do everything; null sends none. */
function keyOf(keys: Keys, draw: Draw): string | null {
  const who = draw(fc.nat(19), 8);
  if (who === 0) return null;
  if (who === 1) return "not-a-key";
  if (who === 2) return keys.limited;
  return who < 7 ? keys.client : keys.admin;
}

/** As it appears in a URL, which cannot hold half of a surrogate pair. */
const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed();

/** A form with no picture, one, or two of the same name. */
function form(bytes: Buffer, headers: Record<string, string>, kind: number, field: string) {
  const parts = Array.from({ length: kind % 3 }, (_, i) => [
    `--fuzz\r\ncontent-disposition: form-data; name="${field}"; filename="${kind === 5 ? "same" : i}.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`,
    bytes,
    "\r\n",
  ]).flat();
  const whole = Buffer.concat([...parts, "--fuzz--\r\n"].map((part) => Buffer.from(part as string)));
  return {
    body: new Uint8Array(whole),
    headers: { ...headers, "content-type": "multipart/form-data; boundary=fuzz" },
  };
}

type Judge = (
  operation: Operation,
  method: string,
  answer: Awaited<ReturnType<TestLoop["call"]>>,
  mayFail: boolean,
) => string | undefined;

/** Whether the document describes the answer; if not, why. */
function judgeOf(): Judge {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "doc");
  const compiled = new Map<string, ValidateFunction>();
  const validator = (pointer: string) => {
    const found = compiled.get(pointer) ?? ajv.compile({ $ref: `doc#${pointer}` });
    compiled.set(pointer, found);
    return found;
  };
  const escaped = (text: string) => encodeURIComponent(text.replaceAll("~", "~0").replaceAll("/", "~1"));
  return (operation, method, { status, headers, text, body }, mayFail) => {
    if (status === 500) return `500 ${text.slice(0, 300)}`;
    if (status >= 502 && status <= 504 && !mayFail) return `${status} without a fault: ${text.slice(0, 300)}`;
    if (headers.get("x-request-id") === null) return `${status} without X-Request-ID: ${text.slice(0, 200)}`;
    const described = operation.responses[String(status)];
    if (described === undefined) return `${status} is not described: ${text.slice(0, 300)}`;
    if (method === "HEAD") return text === "" ? undefined : "a HEAD with a body";
    const content = resolve(described).content ?? {};
    const type = (headers.get("content-type") ?? "").split(";")[0] ?? "";
    if (Object.keys(content).length === 0) return text === "" ? undefined : `${status} has a body`;
    if (content[type] === undefined) return `${status} is ${type}, which is not described`;
    if (type !== "application/json") return undefined;
    const at =
      described.$ref?.slice(1) ??
      `/paths/${escaped(operation.path)}/${operation.method.toLowerCase()}/responses/${status}`;
    const validate = validator(`${at}/content/${escaped(type)}/schema`);
    if (validate(body)) return undefined;
    return `${status} does not fit its schema: ${ajv.errorsText(validate.errors)} in ${text.slice(0, 300)}`;
  };
}
