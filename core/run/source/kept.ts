import type { RunRow } from "../run.sql.ts";

/** Keys of the inputs that runs keep. */
const root = "inputs/runs/";

/** True for a picture that belongs to a run and is removed with it. */
export const isKept = (objectKey: string): boolean => objectKey.startsWith(root);

/** The prefix of everything that a run keeps of its inputs; it is removed with the run. */
export function keptPrefix(run: Pick<RunRow, "keyId" | "runUid">): string {
  return `${root}${run.keyId}/${run.runUid}/`;
}

/** The run's own copy of an item's picture: kept by `persist_inputs`, or sent with a multipart call. */
export function keptKey(run: Pick<RunRow, "keyId" | "runUid">, index: number): string {
  return `${keptPrefix(run)}${index}`;
}
