import type { ErrorObject } from "ajv";
import type { Field, FieldKind } from "#core/canonical/normalize";
import { invalidRequest } from "#core/error";
import { formats } from "#core/task/definition/field";
import { tokenBound } from "#core/vision/answer/schema-bound";
import type { Debug } from "./debug.ts";
import { formatAssertions } from "./forms.ts";
import { sha256 } from "./hash.ts";
import { maxDepth, maxNodes, portable } from "./lint.ts";
import { targetOf } from "./references.ts";
import type * as Task from "./task.ts";

/** A task for a single call, and the check of its answers. */
export interface Overridden {
  task: Task.Task;
  validate: (value: unknown) => Task.Validation;
}

/** The length of an answer to a caller's schema without `max_tokens`, whatever the schema would allow. */
const maxOutputTokens = 2048;
/** As for a task's own validation: a broken answer of many rows must not make a response of many megabytes. */
const maxErrors = 100;

/**
 * The task with a schema of the caller's in place of its own; a module by itself, since hardly any call has one.
 * @throws AppError `invalid_request` with issues at `debug.schema_override…`.
 */
export async function withSchema(
  task: Task.Task,
  schema: NonNullable<Debug["schema_override"]>,
): Promise<Overridden> {
  const { issues, model: modelSchema, checked } = portable(schema);
  if (issues.length > 0) {
    throw invalidRequest(
      issues.map(({ path, message }) => ({
        path: ["debug.schema_override", path].filter(Boolean).join("."),
        message,
      })),
    );
  }
  const fields = kept(task.fields, stringLeaves(checked));
  const paths = new Set(fields.map(({ path }) => path));
  return {
    task: {
      ...task,
      modelSchema,
      validationSchema: schema,
      schemaSha256: sha256(JSON.stringify(schema)),
      modelSchemaSha256: sha256(JSON.stringify(modelSchema)),
      fields,
      checks: task.checks.filter((rule) => pathsOf(rule).every((path) => paths.has(path))),
      maxOutputTokens: Math.max(task.maxOutputTokens, Math.min(maxOutputTokens, tokenBound(modelSchema))),
    },
    validate: await validator(checked),
  };
}

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The strings of a schema that has passed the lint, by path, with the format that each has. */
function stringLeaves(schema: Node): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  // A schema that refers to itself has no last level: no task reads deeper than this.
  let left = maxNodes;
  const visit = (given: Node, path: string, depth: number): void => {
    left -= 1;
    const node = (typeof given.$ref === "string" ? targetOf(schema, given.$ref) : given) as Node;
    if (left < 0 || depth > maxDepth) return;
    const types: unknown[] = [node.type].flat();
    if (isNode(node.properties)) {
      for (const [name, child] of Object.entries(node.properties)) {
        visit(child as Node, path === "" ? name : `${path}.${name}`, depth + 1);
      }
    } else if (isNode(node.items)) visit(node.items, `${path}[]`, depth + 1);
    else if (types.includes("string")) leaves.set(path, node.format);
  };
  visit(schema, "", 1);
  return leaves;
}

function kept(fields: readonly Field[], leaves: ReadonlyMap<string, unknown>): Field[] {
  const formatOf = (kind: FieldKind) => (kind === "text" ? undefined : formats[kind]);
  return fields.filter(({ path, kind }) => {
    const format = leaves.get(path);
    return leaves.has(path) && (format === undefined || format === formatOf(kind));
  });
}

/**
 * Every path that a rule needs: its `rule` is a name, `exact` is a flag, and `beside` lists optional paths; the rest
 * are required paths.
 */
function pathsOf({ rule: _, ...parts }: Task.Task["checks"][number]): string[] {
  return Object.values(parts).filter((part) => typeof part === "string");
}

/**
 * Only schemas that passed the lint get here, bounded in depth and width: only known keywords, `$ref` only within the
 * schema, and `pattern` only from zod.
 */
async function validator(schema: Node): Promise<Overridden["validate"]> {
  // Loaded by the first override, because no other call needs it. It is CommonJS, which has only a default export in a
  // separate chunk (local/bundle/bundle.ts).
  const { Ajv2020 } = (await import("ajv/dist/2020.js")).default;
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    logger: false,
    validateSchema: false,
    formats: formatAssertions(),
    code: { regExp: Object.assign(compile, { code: "new RegExp" }) },
  });
  const check = ajv.compile(schema);
  return (value) => {
    if (check(value)) return { ok: true, errors: [] };
    return { ok: false, errors: (check.errors ?? []).slice(0, maxErrors).map(written) };
  };
}

/** Some of zod's own patterns are valid in one mode only. */
function compile(pattern: string, flags: string): RegExp {
  try {
    return new RegExp(pattern, flags);
  } catch {
    return new RegExp(pattern);
  }
}

/**
 * ajv's messages contain what the schema requires, never what the model wrote; paths are as in a task's own validation.
 */
function written(error: ErrorObject): Task.Validation["errors"][number] {
  const steps = error.instancePath.split("/").slice(1);
  const missing: unknown = error.keyword === "required" ? error.params.missingProperty : undefined;
  if (typeof missing === "string") steps.push(missing);
  const path = steps
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((at, step) => (/^\d+$/.test(step) ? `${at}[${step}]` : at === "" ? step : `${at}.${step}`), "");
  return {
    path,
    message: missing === undefined ? (error.message ?? "does not match the schema") : "is missing",
  };
}
