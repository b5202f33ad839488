import { randomBytes, randomUUID } from "node:crypto";

/** Ids of extracts as callers may choose them (docs/errors.md, `invalid_request_id`). `~` is kept for ids made by us. */
export const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** Ids of runs (`isRunId`): shorter, because `~<index>` of its items comes after it. */
export const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
/** Ids for reading (`isReadableId`): of an extract, or of an item of a run. */
export const readableIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}(~(0|[1-9][0-9]{0,5}))?$/;
/** Ids of keys: what a name of an object, a label and an address can hold. */
export const keyIdPattern = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** What `POST /v1/uploads` returns as `image_ref` and `manifest_ref`. */
export const uploadRefPattern = /^upload_[A-Za-z0-9_-]{24}$/;
/** What `POST /v1/evals` returned as `eval_id`, or a run that has ended. */
export const evalIdPattern = /^eval_[A-Za-z0-9_-]{24}$/;
/** What `POST /v1/ground_truths` returned as `gt_id`. */
export const groundTruthIdPattern = /^gt_[A-Za-z0-9_-]{24}$/;
/** Names that would collide with a route. */
const reserved = new Set(["backup.tar.gz"]);

/** True when a caller may use this as the id of an extract. */
export function isRequestId(value: string): boolean {
  return requestIdPattern.test(value) && !reserved.has(value);
}

/** True when a caller may use this as the id of a run. */
export function isRunId(value: string): boolean {
  return runIdPattern.test(value) && isRequestId(value);
}

/** Ids for reading also know the items of a run: `<run_id>~<index>`, the index in its one spelling. */
export function isReadableId(value: string): boolean {
  return readableIdPattern.test(value) && !reserved.has(value.replace(/~.*/, ""));
}

/** A new request id: sortable by time in logs is not needed, unguessable is. */
export function create(): string {
  return randomUUID();
}

/** `bytes` random bytes as base64url text. */
export function secret(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
