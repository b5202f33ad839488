/** `replay --live`: asks the model again with the stored input, and compares the new results with the old ones. */
import * as Run from "#cli/batch/run";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";

/** How often a field has the same value as before. */
interface Drift {
  field: string;
  same: number;
  changed: number;
}

interface Live {
  run_id: string;
  source_run_id: string;
  /** Items with a result in both runs. */
  compared: number;
  /** Items with a result in only one run. */
  not_compared: number;
  /** Items in which every field is the same. */
  same: number;
  fields: Drift[];
}

/**
 * Reads the pictures of a run again as a new run, and counts per top-level field how often the printed value is the same.
 * @throws CallError, also if the run's pictures are not kept.
 */
export async function again(context: Context, server: Server, source: string): Promise<Live> {
  const runId = Run.newId("replay");
  await Run.start(context, server, "/v1/batch_extract_rerun", { run_id: runId, source_run_id: source });
  context.say(`${runId} reads the pictures of ${source} again`);
  await Run.wait(context, server, runId);
  const before = await resultsOf(context, server, source);
  const now = await resultsOf(context, server, runId);
  return { run_id: runId, source_run_id: source, ...compare(before, now) };
}

type Results = ReadonlyMap<number, Record<string, unknown> | null>;

async function resultsOf({ signal }: Context, server: Server, runId: string): Promise<Results> {
  const results = new Map<number, Record<string, unknown> | null>();
  const items = Run.list(server, Run.pathOf({ runId }, "/items"), { signal, schema: Run.Item });
  for await (const { index, result } of items) results.set(index, result ?? null);
  return results;
}

/** Compares the results of two runs field by field; exported for its test. */
function compare(before: Results, now: Results): Omit<Live, "run_id" | "source_run_id"> {
  const fields = new Map<string, Drift>();
  const counts = { compared: 0, not_compared: 0, same: 0 };
  for (const index of new Set([...before.keys(), ...now.keys()])) {
    const [a, b] = [before.get(index) ?? null, now.get(index) ?? null];
    if (a === null || b === null) {
      counts.not_compared += a === b ? 0 : 1;
      continue;
    }
    counts.compared += 1;
    let isSame = true;
    for (const field of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const drift = fields.get(field) ?? { field, same: 0, changed: 0 };
      const agrees = JSON.stringify(a[field]) === JSON.stringify(b[field]);
      drift[agrees ? "same" : "changed"] += 1;
      isSame &&= agrees;
      fields.set(field, drift);
    }
    counts.same += isSame ? 1 : 0;
  }
  return { ...counts, fields: [...fields.values()] };
}
