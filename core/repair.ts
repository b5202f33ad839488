import { from } from "#core/error";
import * as Log from "#core/log";

/** After this many consecutive outages the list ends: each further row would wait seconds for the same. */
const mostOutages = 3;

/**
 * Repairs rows one by one. A row that throws does not stop the others: it is logged and tried again in the next minute.
 * Only a storage outage ends the list early.
 * @param idsOf - ids that identify a row in the log.
 * @returns the outage, if there was one; the caller continues with work that may not need the storage, and reports the
 *   outage at the end.
 */
export async function each<Row>(
  rows: readonly Row[],
  idsOf: (row: Row) => Log.Fields,
  log: Log.Log,
  repair: (row: Row) => Promise<unknown>,
): Promise<Error | undefined> {
  let outage: Error | undefined;
  let inARow = 0;
  for (const row of rows) {
    try {
      await repair(row);
      inARow = 0;
    } catch (thrown) {
      const error = from(thrown);
      log.error("repair_failed", { ...idsOf(row), code: error.code, ...Log.describe(error) });
      if (error.code !== "storage_unavailable") continue;
      outage ??= error;
      inARow += 1;
      if (inARow === mostOutages) return outage;
    }
  }
  return outage;
}
