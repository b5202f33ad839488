import type { MiddlewareObj } from "@middy/core";
import { type AppError, from } from "#core/error";
import type { Event, Result } from "#functions/request/call";
import { originOf } from "#functions/request/origin";

/** The name of the path's only id, if the object with this id does not exist. */
function unknownId({ code }: AppError, { pathParameters }: Event): string | undefined {
  const names = Object.keys(pathParameters ?? {});
  return code === "not_found" && names.length === 1 ? names[0] : undefined;
}

/**
 * The only place where an error becomes an answer. It is last in the order, so every other onError hook already has the
 * answer.
 */
export function errors(): MiddlewareObj<Event, Result, Error> {
  return { onError: answerError };
}

const answerError: NonNullable<MiddlewareObj<Event, Result, Error>["onError"]> = (request) => {
  const error = from(request.error);
  request.error = error;
  request.response = {
    statusCode: error.status,
    headers: {
      "Content-Type": "application/json; charset=utf-8",
      "Cache-Control": "no-store",
      ...(error.code === "method_not_allowed" ? { Allow: String(error.details?.allowed) } : {}),
      ...(error.retryAfterS === undefined ? {} : { "Retry-After": String(Math.ceil(error.retryAfterS)) }),
    },
    body: JSON.stringify({
      error: {
        code: error.code,
        message: error.message,
        param: error.param ?? unknownId(error, request.event) ?? null,
        request_id: request.event.call?.requestId ?? null,
        doc_url: `${originOf(request.event)}/docs/errors#${error.code}`,
        details: error.details ?? {},
      },
    }),
  };
};
