import type { RunRow } from "../run.sql.ts";

/** What runs keep of their inputs. */
const root = "inputs/runs/";

/** True for a picture that belongs to some run, and goes with it. */
export const isKept = (objectKey: string): boolean => objectKey.startsWith(root);

/** Below this lies everything that a run keeps of its inputs; it goes when the run is deleted. */
export function keptPrefix(run: Pick<RunRow, "keyId" | "runUid">): string {
  return `${root}${run.keyId}/${run.runUid}/`;
}

/** The run's own copy of an item's picture: kept by `persist_inputs`, or what came with a multipart call. */
export function keptKey(run: Pick<RunRow, "keyId" | "runUid">, index: number): string {
  return `${keptPrefix(run)}${index}`;
}
