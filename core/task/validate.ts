import type * as z from "zod";
import { type Field, leaves } from "#core/canonical/normalize";
import { formats } from "#core/task/definition/field";
import { formatChecks } from "./readers.ts";
import type { Task, Validation } from "./task.ts";

/** A broken answer of many rows must not make a response of many megabytes. */
const maxErrors = 100;

/**
 * Checks an answer against the task's schema, formats included. Paths are written `items[0].price`, empty for the
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

/** Texts that cannot be read as the kind of their field. */
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
