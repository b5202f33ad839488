import type { MiddlewareObj } from "@middy/core";
import * as AppErrors from "#core/error";
import type { Event, Result } from "#functions/call";
import { originOf } from "#functions/origin";

/** The one place where an error becomes an answer. Last in the order, so every other onError hook finds the answer made. */
export function errors(): MiddlewareObj<Event, Result, Error> {
  return {
    onError: (request) => {
      const error = AppErrors.from(fromParser(request.error) ?? request.error);
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
            param: error.param ?? null,
            request_id: request.event.call?.requestId ?? null,
            doc_url: `${originOf(request.event)}/docs/errors#${error.code}`,
            details: error.details ?? {},
          },
        }),
      };
    },
  };
}

/** What middy's body parser throws, in our codes; its error carries the body as `cause.data` and is dropped here. */
function fromParser(thrown: unknown): AppErrors.AppError | undefined {
  const status = thrown instanceof Error && "statusCode" in thrown ? thrown.statusCode : undefined;
  if (status === 415) {
    return new AppErrors.AppError("unsupported_media_type", "the body must be sent as application/json", {
      details: { expected: "application/json" },
    });
  }
  if (status === 422 || status === 400)
    return AppErrors.invalidRequest([{ path: "", message: "the body is not valid JSON" }]);
  return undefined;
}
