import * as z from "zod";
import type { Answer } from "#cli/server/answer";

/** The error envelope (docs/errors.md). */
export const ErrorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    request_id: z.string(),
    details: z.looseObject({}),
  }),
});

/** Every error answer has the shape of docs/errors.md, and the same id in header and body. */
export function errorShape(answer: Answer): string | undefined {
  const body = ErrorBody.safeParse(answer.json);
  if (!body.success) return "the error does not have the shape of the contract";
  return body.data.error.request_id === answer.headers.get("x-request-id")
    ? undefined
    : "X-Request-ID differs from the body's";
}
