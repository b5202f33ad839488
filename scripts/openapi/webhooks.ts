/** The calls to the caller's server (core/webhook), for the document's `webhooks`. */
import type { ZodOpenApiObject } from "zod-openapi";
import { RunEnded } from "#core/run/notify/schema";

const header = (name: string, description: string, example: string) => ({
  name,
  in: "header" as const,
  required: true,
  description,
  schema: { type: "string" as const },
  example,
});

/** The only event: a run has ended. */
export const webhooks = (): NonNullable<ZodOpenApiObject["webhooks"]> => ({
  runEnded: {
    post: {
      operationId: "runEnded",
      tags: ["Runs"],
      summary: "A run has ended",
      description:
        "Sent to the run's `webhook_url` when the run has ended, signed by the Standard Webhooks scheme. Verify the raw bytes with any library of the scheme and your key's secret (`ocrlty keys webhook-secret`). It is repeated for three days until the answer is 2xx or 410; redirects are not followed. A repeat has the same `webhook-id`: process it once.",
      security: [],
      parameters: [
        header("webhook-id", "The event's id, the same at every attempt.", "msg_3q2W1x9vT0aZ8yB7cD6eF5gH"),
        header("webhook-timestamp", "The time of this attempt, in seconds since 1970.", "1795425304"),
        header(
          "webhook-signature",
          "One or more of `v1,<base64>`, separated by spaces: HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. More than one while a secret is being replaced.",
          "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
      ],
      requestBody: { required: true, content: { "application/json": { schema: RunEnded } } },
      responses: {
        "2XX": { description: "The event was received." },
        "410": { description: "The receiver is gone: the event is not sent again." },
        default: { description: "Anything else: the event is sent again later." },
      },
    },
  },
});
