import * as z from "zod";

const maxPromptBytes = 20 * 1024;

/** The `debug` member of `POST /v1/extract`. */
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
        "Instead of the task's schema: a JSON Schema such as `GET /v1/tasks/{task_id}` shows or zod's `toJSONSchema` writes. What model servers refuse or silently ignore is refused by name, all of it in one answer: `allOf`, `not`, `if`, `pattern`, `patternProperties`, `propertyNames`, `multipleOf`, `uniqueItems`, `contains` and more (docs/schemas.md). Lengths, the formats `email`, `time`, x-money, x-count, x-percent, x-date, x-time, x-currency, and patterns that zod writes for its own formats are not sent and checked afterwards; `$schema` and other annotations are ignored. One that the server refuses all the same is 400 `invalid_request` with `details.reason` `schema_refused`.",
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
