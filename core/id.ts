import { randomBytes, randomUUID } from "node:crypto";

/** Ids of extracts as callers may choose them (API.md, "Request id"). `~` is kept for ids made by us. */
export const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** Names that would collide with a route. */
const reserved = new Set(["backup.tar.gz"]);

/** True when a caller may use this as the id of an extract. */
export function isRequestId(value: string): boolean {
  return requestIdPattern.test(value) && !reserved.has(value);
}

/** True when a caller may use this as the id of a run: shorter, because `~<index>` of its items comes after it. */
export function isRunId(value: string): boolean {
  return value.length <= 100 && isRequestId(value);
}

/** Ids for reading also know the items of a run: `<run_id>~<index>`, the index in its one spelling. */
export function isReadableId(value: string): boolean {
  const [id, index, ...rest] = value.split("~");
  return (
    id !== undefined &&
    isRequestId(id) &&
    rest.length === 0 &&
    (index === undefined || /^(0|[1-9]\d{0,5})$/.test(index))
  );
}

/** A new request id: sortable by time in logs is not needed, unguessable is. */
export function create(): string {
  return randomUUID();
}

/** `bytes` random bytes as base64url text. */
export function secret(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
