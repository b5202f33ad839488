import * as z from "zod";

export const maxPromptBytes = 20 * 1024;

/** What `debug` of `POST /v1/extract` takes. */
export const Debug = z
  .strictObject({
    prompt_override: z
      .string()
      .min(1)
      .refine((text) => Buffer.byteLength(text) <= maxPromptBytes, "at most 20 KiB of UTF-8")
      .optional()
      .meta({ description: "Instead of the task's prompt; the picture follows it. At most 20 KiB." }),
    schema_override: z.record(z.string(), z.unknown()).optional().meta({
      description:
        "Instead of the task's schema: a JSON Schema in the portable subset of `model_schema` (`GET /v1/tasks/{task_id}`), where strings may also have the formats x-money, x-count, x-percent, x-date, x-time, x-currency, which are checked but not sent.",
    }),
    temperature: z.number().min(0).max(2).optional(),
    max_tokens: z.int().min(1).max(1_000_000).optional().meta({
      description: "Instead of the task's; prompt, picture and answer must fit the model's context.",
    }),
  })
  .meta({
    id: "ExtractDebug",
    description: "Tries another prompt or schema; needs `DEBUG_MODE=1` and the scope debug:run.",
  });
export type Debug = z.output<typeof Debug>;
