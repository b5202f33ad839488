import { from } from "#core/error";
import * as Log from "#core/log";

/** So many rows in a row that met storage which is away: the others would meet it, too, each for seconds. */
const weatherMost = 3;

/**
 * Repairs rows one by one. A row that throws stops nobody else's repair: it is logged, and looked at again in the next
 * minute. Only storage that is away ends the rest of this list early.
 * @param idsOf - by what a row is found again: ids only.
 * @returns the weather, if there was any; the caller goes on with what may need none of it, and tells in the end.
 */
export async function each<Row>(
  rows: readonly Row[],
  idsOf: (row: Row) => Log.Fields,
  log: Log.Log,
  repair: (row: Row) => Promise<unknown>,
): Promise<Error | undefined> {
  let weather: Error | undefined;
  let inARow = 0;
  for (const row of rows) {
    try {
      await repair(row);
      inARow = 0;
    } catch (thrown) {
      const error = from(thrown);
      log.error("repair_failed", { ...idsOf(row), code: error.code, ...Log.describe(error) });
      if (error.code !== "storage_unavailable") continue;
      weather ??= error;
      inARow += 1;
      if (inARow === weatherMost) return weather;
    }
  }
  return weather;
}
