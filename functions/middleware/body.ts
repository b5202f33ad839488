import type { MiddlewareObj } from "@middy/core";
import { AppError, invalidRequest } from "#core/error";
import type { Event, Result } from "#functions/request/call";
import * as JsonBody from "#functions/request/json-body";
import type { Operation } from "#functions/request/operation";
import { takesJson } from "#functions/request/raw-body";

/** Parses JSON only for operations that take a body: a GET may carry any body. */
export function body(operationOf: (event: Event) => Operation | undefined): MiddlewareObj<Event, Result> {
  const parseBody = ({ event }: { event: Event }) => {
    const operation = operationOf(event);
    if (operation?.body === undefined) return;
    refuseEncoded(event);
    if (operation.bodyAs === "multipart") return;
    const { doors } = operation;
    if (event.body === undefined || event.body === "")
      throw invalidRequest([{ path: "", message: doors?.missing ?? "the body is missing" }]);
    if (!takesJson(operation, event)) return;
    const other = typeof event.body === "string" ? doors?.notJson(event.body) : undefined;
    if (other !== undefined) throw new AppError("unsupported_media_type", other);
    JsonBody.parse(event);
  };
  return { before: parseBody };
}

/** The gateway does not decompress a body. */
function refuseEncoded({ headers }: Event): void {
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "")
    throw new AppError("unsupported_media_type", "the body must be sent without Content-Encoding");
}
