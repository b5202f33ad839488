/* Where artifacts lie. What is in them: core/reading/record.ts. */

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

/** What the records of an extract's attempts, and no other objects, begin with. */
export function attemptPrefix(keyId: string, requestId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${requestId}~attempt-`;
}

/** What every object of a run's items, and no other, begins with: `~` is in no caller's id. */
export function itemPrefix(keyId: string, runId: string, createdAt: Date): string {
  return `extracts/${dayOf(createdAt)}/${keyId}/${runId}~`;
}

/** Where a run's artifact lies. */
export function batchKey(keyId: string, runId: string, createdAt: Date): string {
  return `batches/${dayOf(createdAt)}/${keyId}/${runId}.json`;
}

/**
 * Where the other files of a run lie, beside its artifact. Only `.json` names an artifact, so an ending of another
 * kind names no run (`a.items` has `a.items.json`); a JSON file takes the `~` that no run's id has.
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
    /** What is made of these files on demand begins with this. */
    made: `${base}~made-`,
  };
}
