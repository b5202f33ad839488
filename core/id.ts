import { randomBytes, randomUUID } from "node:crypto";

/**
 * The form of extract ids that callers choose (docs/errors.md, `invalid_request_id`). `~` is reserved for our own
 * ids.
 */
export const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** The form of run ids (`isRunId`): shorter, because `~<index>` is appended for items. */
export const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
/** The form of ids in read calls (`isReadableId`): an extract, or an item of a run. */
export const readableIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}(~(0|[1-9][0-9]{0,5}))?$/;
/** The form of key ids: valid in object names, labels and URLs. */
export const keyIdPattern = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** What `POST /v1/uploads` returns as `image_ref` and `manifest_ref`. */
export const uploadRefPattern = /^upload_[A-Za-z0-9_-]{24}$/;
/** The `eval_id` that `POST /v1/evals` or an ended run returned. */
export const evalIdPattern = /^eval_[A-Za-z0-9_-]{24}$/;
/** The `gt_id` that `POST /v1/ground_truths` returned. */
export const groundTruthIdPattern = /^gt_[A-Za-z0-9_-]{24}$/;
/** Names that would collide with a route. */
const reserved = new Set(["backup.tar.gz"]);

/** True if a caller may choose this as the id of an extract. */
export function isRequestId(value: string): boolean {
  return requestIdPattern.test(value) && !reserved.has(value);
}

/** True if a caller may choose this as the id of a run. */
export function isRunId(value: string): boolean {
  return runIdPattern.test(value) && isRequestId(value);
}

/** Also accepts items of a run: `<run_id>~<index>`, with the index in its canonical form. */
export function isReadableId(value: string): boolean {
  return readableIdPattern.test(value) && !reserved.has(value.replace(/~.*/, ""));
}

/** A new request id: it cannot be guessed, and need not be sortable. */
export function create(): string {
  return randomUUID();
}

/** `bytes` random bytes as base64url text. */
export function secret(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
