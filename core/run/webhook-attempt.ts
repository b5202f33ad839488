import * as z from "zod";

/** One attempt to deliver a webhook. */
export const WebhookAttempt = z
  .object({
    at: z.iso.datetime(),
    ok: z.boolean(),
    status: z.int().nullable().meta({ description: "The answer's HTTP status; null when there was none." }),
    error: z.string().nullable().meta({ description: "Why there was no answer, in snake_case." }),
    duration_ms: z.int(),
  })
  .meta({ id: "WebhookAttempt" });
export type WebhookAttempt = z.output<typeof WebhookAttempt>;
