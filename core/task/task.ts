import { createHash } from "node:crypto";
import type * as z from "zod";
import type { Rule } from "#core/canonical/checks";
import { type Field, leaves } from "#core/canonical/normalize";
import { formatChecks, formats } from "./field.ts";
import * as registry from "./registry.ts";
import type { JsonSchema } from "./schema.ts";
import { derive } from "./schema.ts";
import type { TaskDetail, TaskSummary } from "./summary.ts";

export type { Field } from "#core/canonical/normalize";
export type { JsonSchema } from "./schema.ts";

/** What a task's folder exports. The schema is a function, so that importing every task builds nothing. */
export interface Definition {
  description: string;
  prompt: string;
  schema: () => z.ZodType;
  examples: Example[];
  maxOutputTokens: number;
  /** Arithmetic over the fields (core/canonical/checks.ts). */
  checks: Rule[];
}

/** A receipt as text lines and the answer it must get. */
export interface Example {
  lines: string[];
  answer: unknown;
}

export interface Task {
  id: string;
  description: string;
  /** Static text; the picture follows it. Line ends are `\n` on every system. */
  prompt: string;
  /** What is sent as `response_format`: the portable subset. */
  modelSchema: JsonSchema;
  /** What an answer is held to, with our own formats. */
  validationSchema: JsonSchema;
  /** Of `JSON.stringify(validationSchema)`. */
  schemaSha256: string;
  /** Of `JSON.stringify(modelSchema)`. */
  modelSchemaSha256: string;
  /** Of the prompt's UTF-8 bytes. */
  promptSha256: string;
  /** Leaves in the order of the schema. */
  fields: Field[];
  examples: Example[];
  maxOutputTokens: number;
  checks: Rule[];
  /** The source of both JSON Schemas. */
  schema: z.ZodType;
}

export interface Validation {
  ok: boolean;
  errors: { path: string; message: string }[];
}

const definitions = new Map<string, Definition>(Object.entries(registry));
const built = new Map<string, Task>();
/** A broken answer of many rows must not make an answer of many megabytes. */
const maxErrors = 100;

export const defaultTaskId = "receipt_fields_v1";

/** Every task, by id. */
export function list(): Task[] {
  return [...definitions.keys()].sort().flatMap((id) => get(id) ?? []);
}

/** The task, or undefined when there is none of that id. Built on first use, then kept. */
export function get(id: string): Task | undefined {
  const known = built.get(id);
  const definition = definitions.get(id);
  if (known || !definition) return known;
  const task = build(id, definition);
  built.set(id, task);
  return task;
}

function build(id: string, definition: Definition): Task {
  const schema = definition.schema();
  const { model, validation, fields } = derive(schema);
  const prompt = definition.prompt.replaceAll(/\r\n?/g, "\n");
  return {
    id,
    description: definition.description,
    prompt,
    modelSchema: model,
    validationSchema: validation,
    schemaSha256: sha256(JSON.stringify(validation)),
    modelSchemaSha256: sha256(JSON.stringify(model)),
    promptSha256: sha256(prompt),
    fields,
    examples: definition.examples,
    maxOutputTokens: definition.maxOutputTokens,
    checks: definition.checks,
    schema,
  };
}

/**
 * Paths of the task's dates that lie ahead of the document, such as the day to pay by: those that its checks ask to
 * come later than another.
 */
export function dueDates({ checks }: Pick<Task, "checks">): string[] {
  return checks.flatMap((check) => (check.rule === "dates_in_order" ? check.later : []));
}

/** Hex sha256 of the text's UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/**
 * Holds an answer to the task's schema, formats included. Paths are written `items[0].price`, empty for the
 * whole; messages never repeat what the model wrote, neither values nor unknown names. At most 100 errors.
 */
export function validate(task: Task, value: unknown): Validation {
  const parsed = task.schema.safeParse(value, { reportInput: true });
  const issues = parsed.success ? [] : parsed.error.issues;
  const misshapen = issues
    .slice(0, maxErrors)
    .map((issue) => ({ path: pathOf(issue.path), message: messageOf(issue) }));
  const unreadable = unread(task, value);
  const errors = unreadable.length === 0 ? misshapen : inOrder(task, [...misshapen, ...unreadable]);
  return { ok: errors.length === 0, errors: errors.slice(0, maxErrors) };
}

/** In the order of the document: by the schema's fields, then by rows; what concerns a whole group after its parts. */
function inOrder({ fields }: Task, errors: Validation["errors"]): Validation["errors"] {
  const key = (path: string) => {
    const steps = path.split(/(?=\[)|\./);
    let prefix = "";
    return steps.map((step) => {
      if (step.startsWith("[")) {
        prefix += "[]";
        return Number(step.slice(1, -1));
      }
      prefix += prefix === "" ? step : `.${step}`;
      return fields.findIndex((field) => field.path.startsWith(prefix));
    });
  };
  const keyed = errors.map((error) => ({ error, key: key(error.path) }));
  keyed.sort((a, b) => {
    for (let i = 0; i < Math.max(a.key.length, b.key.length); i += 1) {
      const [x, y] = [a.key[i], b.key[i]];
      if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? 1 : -1;
      if (x !== y) return x - y;
    }
    return 0;
  });
  return keyed.map(({ error }) => error);
}

/** Texts that do not read as what their field is. */
function unread(task: Task, value: unknown): Validation["errors"] {
  return leaves(task.fields, value).flatMap(({ path, kind, printed }) => {
    if (kind === "text" || formatChecks[formats[kind]](printed)) return [];
    return [{ path, message: expectations[kind] }];
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (written, step) =>
      typeof step === "number"
        ? `${written}[${step}]`
        : written === ""
          ? String(step)
          : `${written}.${String(step)}`,
    "",
  );
}

const expectations: Record<Exclude<Field["kind"], "text">, string> = {
  money: "must be an amount of money or null",
  count: "must be a quantity or null",
  percent: "must be a percentage or null",
  date: "must be a date or null",
  time: "must be a time of day or null",
  currency: "must be a currency or null",
};

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys")
    return `has ${issue.keys.length} field(s) that the schema does not have`;
  if (issue.code === "too_small") return "must not be empty; null says that nothing is printed";
  if (issue.code !== "invalid_type") return "does not match the schema";
  if (issue.input === undefined && issue.path.length > 0) return "is missing";
  return issue.expected === "string" ? "must be a string or null" : `must be an ${issue.expected}`;
}

/** The task as it is listed. */
export function summary(task: Task): TaskSummary {
  return {
    task_id: task.id,
    description: task.description,
    schema_sha256: task.schemaSha256,
    prompt_sha256: task.promptSha256,
  };
}

/** The task as it is answered for by itself. */
export function detail(task: Task): TaskDetail {
  return {
    ...summary(task),
    schema: task.validationSchema,
    model_schema: task.modelSchema,
    model_schema_sha256: task.modelSchemaSha256,
    fields: task.fields,
  };
}
