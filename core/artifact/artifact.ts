import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Artifact } from "#core/reading/schema";

/** The day of an artifact is the day its row was made, also after midnight: a repeat finds the same key. */
const dayOf = (createdAt: Date) => createdAt.toISOString().slice(0, 10);

/** Where an extract's artifact lies. Only a success or a final failure is ever written there. */
export function extractKey(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}.json`;
}

/** Where a failure that may be retried lies; `n` is the fencing token of who wrote it. `~` is in no caller's id. */
export function attemptKey(keyId: string, requestId: string, createdAt: Date, n: number): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~attempt-${n}.json`;
}

/** What the records of an extract's attempts begin with, and nobody else's. */
export function attemptPrefix(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~attempt-`;
}

/** What every object of a run's items begins with, and nobody else's: `~` is in no caller's id. */
export function itemPrefix(keyId: string, runId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${runId}~`;
}

/** Where a run's artifact lies. */
export function batchKey(keyId: string, runId: string, createdAt: Date): string {
  return `batches/${dayOf(createdAt)}/${keyId}/${runId}.json`;
}

/**
 * Where the other files of a run lie, beside its artifact. Only `.json` names an artifact, so an ending of another
 * kind is nobody's run (`a.items` has `a.items.json`); a JSON file takes the `~` that no run's id has.
 */
export function batchFiles(
  keyId: string,
  runId: string,
  createdAt: Date,
): Record<"jsonl" | "json" | "csv" | "lineItemsCsv" | "working" | "made", string> {
  const base = `batches/${dayOf(createdAt)}/${keyId}/${runId}`;
  return {
    jsonl: `${base}.items.jsonl`,
    json: `${base}~results.json`,
    csv: `${base}.results.csv`,
    lineItemsCsv: `${base}.line_items.csv`,
    /** What only the making of these files needs begins with this. */
    working: `${base}~carry-`,
    /** What is made of these files when somebody asks for it begins with this. */
    made: `${base}~made-`,
  };
}

/** The bytes of an artifact: for people too, hence indented. */
export function encode(artifact: Artifact): string {
  return `${JSON.stringify(artifact, null, 1)}\n`;
}

/** Writes an artifact once. "taken": somebody wrote there first, and that is what counts. @throws AppError `storage_unavailable`. */
export function put(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
  encoded: string,
): Promise<"written" | "taken"> {
  return Bucket.put(bucket, log, rel, { body: encoded, contentType: "application/json" });
}

/** Enough of an artifact to trust the rest of it. */
const Recognised = z.looseObject({
  request_id: z.string(),
  payload_hash: z.string(),
  principal: z.looseObject({ key_id: z.string() }),
  // Came later than the first artifacts.
  warnings: z.array(z.unknown()).default([]),
});

/**
 * An artifact from its text, also one that was written before all of its fields existed.
 * @throws an error for a text that is none.
 */
export function decode(text: string): Artifact {
  return Recognised.parse(JSON.parse(text)) as unknown as Artifact;
}

/**
 * Reads an artifact, or undefined when there is none.
 * @throws AppError `storage_unavailable`; `internal` for an object that is not an artifact.
 */
export async function get(bucket: Bucket.Bucket, log: Log, rel: string): Promise<Artifact | undefined> {
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) return undefined;
  try {
    return decode(new TextDecoder().decode(bytes));
  } catch (thrown) {
    throw new AppError("internal", "what is stored for this extract cannot be read", { cause: thrown });
  }
}

/**
 * What lies at a key where an artifact of ours belongs: that one, nothing, or `foreign`, somebody else's or no artifact at
 * all (two stages in one bucket; a database that was set up anew beside an old bucket). That stays there: nothing is
 * overwritten.
 * @throws AppError `storage_unavailable`.
 */
export async function own(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
  isOurs: (artifact: Artifact) => boolean,
): Promise<Artifact | "foreign" | undefined> {
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) return undefined;
  let artifact: Artifact;
  try {
    artifact = decode(new TextDecoder().decode(bytes));
  } catch {
    return "foreign";
  }
  return isOurs(artifact) ? artifact : "foreign";
}

/** Why work ends whose place is taken: it never could be stored there, however often it is done. */
export const taken = () =>
  new AppError("conflict", "another artifact lies where this one belongs", {
    details: { reason: "artifact_taken" },
  });
