import type { Event } from "./call.ts";
import type { Operation, RawBody } from "./operation.ts";

/** Whether the operation takes this call's body as JSON. */
export const takesJson = ({ bodyAs, doors }: Operation, { headers }: Event) =>
  bodyAs !== "multipart" && (doors === undefined || doors.isJson(headers["content-type"] ?? ""));

/** The bytes of a body that is not taken as JSON. */
export function rawOf(operation: Operation, event: Event): RawBody {
  const taken = !takesJson(operation, event) && typeof event.body === "string" ? event.body : "";
  return {
    contentType: event.headers["content-type"],
    bytes: Buffer.from(taken, event.isBase64Encoded ? "base64" : "utf8"),
  };
}
