import { and, asc, eq, getTableColumns, gt } from "drizzle-orm";
import * as z from "zod";
import * as Cursor from "#core/cursor";
import * as Database from "#core/db/database";
import * as Answers from "#core/run/results/answers";
import * as Run from "#core/run/run";
import { itemTable as item } from "#core/run/run.sql";
import type { Item, ItemStatus } from "#core/run/schema";

/**
 * A page of a run's items by their index, also while the run is in progress.
 * @throws as `Run.find`; AppError `invalid_request` for an invalid cursor.
 */
export async function page(
  db: Database.Db,
  wanted: Run.Wanted,
  query: { status: ItemStatus | undefined; limit: number; cursor: string | undefined },
): Promise<Run.Page<Item>> {
  const { row } = await Run.find(db, wanted);
  const after = Cursor.decode(z.int(), query.cursor);
  // An answer that waits for the bucket has up to 256 KiB. A page of them would exceed what libSQL's server can
  // return.
  const { pendingArtifact, ...columns } = getTableColumns(item);
  const rows = await Database.read(
    db.query
      .select(columns)
      .from(item)
      .where(
        and(
          eq(item.runUid, row.runUid),
          query.status === undefined ? undefined : eq(item.status, query.status),
          after === undefined ? undefined : gt(item.index, after),
        ),
      )
      .orderBy(asc(item.index))
      .limit(query.limit + 1),
  );
  const { shown, next_cursor } = Cursor.page(rows, query.limit, ({ index }) => index);
  return {
    items: await Promise.all(shown.map((each) => Answers.recomputed(row, each))),
    next_cursor,
  };
}
