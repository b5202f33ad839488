/** `replay --live`: asks the model again with the stored input, and compares the new results with the old ones. */
import * as Run from "#cli/batch/run";
import * as Agree from "#cli/diff/agree";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";

/** How often a field has the same printed value as before. Of columns, cells are counted. */
interface Drift {
  field: string;
  same: number;
  changed: number;
}

interface Live {
  run_id: string;
  source_run_id: string;
  /** Documents with a result in both runs. A picture is one, unless it was split. */
  compared: number;
  /** Documents with a result in only one run. */
  not_compared: number;
  /** Documents with the same result, byte for byte. */
  same: number;
  fields: Drift[];
}

/**
 * Reads the pictures of a run again as a new run, and counts for each field how often the printed value is the same.
 * @throws CallError, also if the run's pictures are not kept.
 */
export async function again(context: Context, server: Server, source: string): Promise<Live> {
  const runId = Run.newId("replay");
  await Run.start(context, server, "/v1/batch_extract_rerun", { run_id: runId, source_run_id: source });
  context.say(`${runId} reads the pictures of ${source} again`);
  await Run.wait(context, server, runId);
  const counts = { compared: 0, not_compared: 0, same: 0 };
  const agreed = await Agree.agree(context, server, [source, runId], (before, now) => {
    if (before.result !== null && now.result !== null) {
      counts.compared += 1;
      counts.same += Number(JSON.stringify(before.result) === JSON.stringify(now.result));
    } else if (before.result !== now.result) counts.not_compared += 1;
  });
  counts.not_compared += agreed.only_in_first + agreed.only_in_second;
  const fields = agreed.fields
    .filter(({ compared }) => compared > 0)
    .map(({ path, compared, same_exact: same }) => ({ field: path, same, changed: compared - same }));
  return { run_id: runId, source_run_id: source, ...counts, fields };
}
