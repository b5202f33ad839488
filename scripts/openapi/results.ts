/**
 * Results typed by task: the `result` of a task has the schema that answers are checked against (core/task), so that a
 * generated client knows each field.
 */
import * as Task from "#core/task/task";

type Json = { [key: string]: unknown };
interface ObjectSchema extends Json {
  properties: Record<string, Json>;
  required: string[];
}

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const notShown =
  "Null in lists for results above 16 KiB; those are in the artifact and in the run's results.";

/** The components that have a `result`, each with the suffix of its variants' names. */
const holders = { Extract: "Extract", RunItem: "Item" } as const;

/**
 * Puts the tasks' results into the components. `Extract` and `RunItem` become one of several variants: one for each
 * task whose schema the answer fits (`schema_ok` is true, `task_id` says which), and one for answers that fit none,
 * where `result` is any object. Each variant has all its fields, because generators and validators handle that better
 * than `allOf`.
 */
export function addResults(schemas: Record<string, Json>): void {
  const tasks = Task.list();
  for (const { id, description, validationSchema } of tasks) {
    const { $schema: _, ...schema } = validationSchema;
    schemas[`${pascal(id)}Result`] = { description, ...schema };
  }
  for (const [holder, end] of Object.entries(holders)) {
    const whole = schemas[holder] as ObjectSchema;
    const also = (changes: Record<string, Json>, description: string): Json => ({
      ...whole,
      description,
      properties: Object.fromEntries(
        Object.entries(whole.properties).map(([name, schema]) => [name, changes[name] ?? schema]),
      ),
    });
    for (const { id } of tasks) {
      const result = ref(`${pascal(id)}Result`);
      schemas[`${pascal(id)}${end}`] = also(
        {
          task_id: { type: "string", const: id },
          schema_ok: { type: "boolean", const: true },
          result:
            holder === "Extract" ? result : { anyOf: [result, { type: "null" }], description: notShown },
        },
        `Its result fits the schema of \`${id}\`.`,
      );
    }
    schemas[`${end}ByTask`] = {
      description: "The result fits the task's schema.",
      oneOf: tasks.map(({ id }) => ref(`${pascal(id)}${end}`)),
      discriminator: {
        propertyName: "task_id",
        mapping: Object.fromEntries(tasks.map(({ id }) => [id, ref(`${pascal(id)}${end}`).$ref])),
      },
    };
    schemas[`Other${end}`] = also(
      {
        schema_ok: {
          // Not as an enum: Python's generator does not support booleans in it, and drops schemas with one.
          anyOf: [{ type: "boolean", const: false }, { type: "null" }],
          description: "Null if there is no complete answer to check against the schema.",
        },
        result: {
          type: ["object", "null"],
          additionalProperties: true,
          description: "The JSON object that the model wrote; null if there is none.",
        },
      },
      "There is no result, or it does not fit the task's schema.",
    );
    schemas[holder] = {
      description:
        "`schema_ok` says whether the result fits the task's schema, and then `task_id` tells which fields it has. An answer to `debug.schema_override` is checked against that schema instead, which this document does not know.",
      oneOf: [ref(`${end}ByTask`), ref(`Other${end}`)],
    };
  }
}

/** Adds the e-invoice and the documents of an answer; called before the answers are split by task. */
export function tellEmbedded(schemas: Record<string, Json>): void {
  for (const holder of Object.keys(holders))
    Object.assign((schemas[holder] as ObjectSchema).properties, {
      embedded: ref("Embedded"),
      complete: ref("Complete"),
      rows: ref("Rows"),
      documents: ref("PartAnswers"),
    });
}

/** A stored failure has the same texts as an error answer. */
export function tellDetails(schemas: Record<string, Json>): void {
  Object.assign((schemas.StoredError as ObjectSchema).properties, { details: ref("ErrorDetails") });
}

const pascal = (id: string) =>
  id
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
