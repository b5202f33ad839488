/* Where artifacts lie. What is in them: core/reading/record.ts. */

/** The day of an artifact is the day its row was made, also after midnight: a repeat finds the same key. */
const dayOf = (createdAt: Date) => createdAt.toISOString().slice(0, 10);

/** The key of an extract's artifact. Only a success or a final failure is written there. */
export function extractKey(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}.json`;
}

/** The key of a failure that may be retried; `n` is the writer's fencing token. Callers' ids contain no `~`. */
export function attemptKey(keyId: string, requestId: string, createdAt: Date, n: number): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~attempt-${n}.json`;
}

/** The prefix of the records of an extract's attempts; no other object has it. */
export function attemptPrefix(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~attempt-`;
}

/**
 * The key of the stored calls about a long document that has not ended; `n` is the number of the first call in it. No
 * `.json`: it is no artifact.
 */
export function stepKey(keyId: string, requestId: string, createdAt: Date, n: number): string {
  return `${stepPrefix(keyId, requestId, createdAt)}${String(n).padStart(4, "0")}`;
}

/** The prefix of these objects; no other object has it. */
export function stepPrefix(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~step-`;
}

/** The common beginning of the objects of a run's items: callers' ids contain no `~`. */
export function itemPrefix(keyId: string, runId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${runId}~`;
}

/** The key of a run's artifact. */
export function batchKey(keyId: string, runId: string, createdAt: Date): string {
  return `batches/${dayOf(createdAt)}/${keyId}/${runId}.json`;
}

/**
 * The keys of a run's other files, beside its artifact. Only `.json` names an artifact, so another ending cannot be a
 * run (`a.items` has `a.items.json`); a JSON file gets a `~`, which no run id contains.
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
    /** The prefix of objects that are needed only while these files are made. */
    working: `${base}~carry-`,
    /** The prefix of objects that are made from these files on demand. */
    made: `${base}~made-`,
  };
}
