import * as z from "zod";

/*
 * How tasks are shown; apart from the tasks themselves, whose prompts and schemas few calls need.
 */

export const TaskSummary = z
  .object({
    task_id: z.string(),
    description: z.string(),
    schema_sha256: z.string().meta({ description: "sha256 of the schema's JSON text; in every artifact" }),
    prompt_sha256: z.string().meta({ description: "sha256 of the prompt's UTF-8 bytes; in every artifact" }),
  })
  .meta({ id: "TaskSummary", description: "A document type that can be extracted" });
export type TaskSummary = z.infer<typeof TaskSummary>;

export const TaskDetail = TaskSummary.extend({
  schema: z.record(z.string(), z.unknown()).meta({
    description:
      "JSON Schema that answers are held to, with the formats x-money, x-count, x-percent, x-date, x-time, x-currency",
  }),
  model_schema: z
    .record(z.string(), z.unknown())
    .meta({ description: "JSON Schema that the model's answer is constrained by" }),
  model_schema_sha256: z.string(),
  fields: z.array(
    z.object({
      path: z.string().meta({ description: "Lists are written with empty brackets: items[].price" }),
      kind: z.enum(["money", "count", "percent", "date", "time", "currency", "text"]),
    }),
  ),
}).meta({ id: "TaskDetail", description: "A document type with its schemas and fields" });
export type TaskDetail = z.infer<typeof TaskDetail>;
