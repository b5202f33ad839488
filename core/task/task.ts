import type * as z from "zod";
import type { Rule } from "#core/canonical/checks/rule";
import type { Field } from "#core/canonical/normalize";
import type { Definition, Example } from "./definition/definition.ts";
import { sha256 } from "./hash.ts";
import * as Registry from "./registry.ts";
import type { JsonSchema } from "./schema.ts";
import { derive } from "./schema.ts";
import type { TaskDetail, TaskSummary } from "./summary.ts";

export type { Field } from "#core/canonical/normalize";
export { sha256 } from "./hash.ts";
export type { JsonSchema } from "./schema.ts";

export interface Task {
  id: string;
  description: string;
  /** Static text; the picture follows it. Line ends are `\n` on every system. */
  prompt: string;
  /** The schema in `response_format`: the portable subset. */
  modelSchema: JsonSchema;
  /** The schema that answers are checked against, with our own formats. */
  validationSchema: JsonSchema;
  /** The sha256 of `JSON.stringify(validationSchema)`. */
  schemaSha256: string;
  /** The sha256 of `JSON.stringify(modelSchema)`. */
  modelSchemaSha256: string;
  /** The sha256 of the prompt's UTF-8 bytes. */
  promptSha256: string;
  /** Leaves in the order of the schema. */
  fields: Field[];
  examples: Example[];
  maxOutputTokens: number;
  /** For an answer about one sheet (./definition/definition.ts). */
  usualOutputTokens: number;
  checks: Rule[];
  /** Fields whose value is taken from the last page that has one (./definition/definition.ts). */
  lastPage: readonly string[];
  /** The source of both JSON Schemas. */
  schema: z.ZodType;
}

export interface Validation {
  ok: boolean;
  errors: { path: string; message: string }[];
}

const definitions = new Map<string, Definition>(Object.entries(Registry));
const built = new Map<string, Task>();

export const defaultTaskId = "receipt_fields_v1";

/** The ids of all tasks. */
export const ids = (): string[] => [...definitions.keys()].sort();

/** Every task, by id. */
export function list(): Task[] {
  return ids().flatMap((id) => get(id) ?? []);
}

/** The task; undefined if the id is unknown. Built on first use, then kept. */
export function get(id: string): Task | undefined {
  const known = built.get(id);
  const definition = definitions.get(id);
  if (known || !definition) return known;
  const task = build(id, definition);
  built.set(id, task);
  return task;
}

/** The task of a definition. Its hashes cover what is sent and shown, so they tell if it was changed. */
export function build(id: string, definition: Definition): Task {
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
    usualOutputTokens: definition.usualOutputTokens ?? definition.maxOutputTokens,
    checks: definition.checks,
    lastPage: definition.lastPage,
    schema,
  };
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

/** The task in an answer about it alone. */
export function detail(task: Task): TaskDetail {
  return {
    ...summary(task),
    schema: task.validationSchema,
    model_schema: task.modelSchema,
    model_schema_sha256: task.modelSchemaSha256,
    fields: task.fields,
  };
}
