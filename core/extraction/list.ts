import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import * as Cursor from "#core/cursor";
import * as Database from "#core/db/database";
import type { Code } from "#core/error";
import type { Principal } from "#core/key/key";
import * as Visible from "#core/key/visible";
import * as Known from "#core/known/known";
import type { Log } from "#core/log";
import { StoredError } from "#core/reading/schema";
import { extractTable as extract } from "./extract.sql.ts";
import * as Row from "./row.ts";

/** `running` is also what waits in the queue, as `GET /v1/extracts/{request_id}` has it. */
export const statuses = ["running", "succeeded", "failed"] as const;

/** An extract without what it read: a list reads no artifacts. */
export const Entry = z
  .object({
    request_id: z.string(),
    key_id: z.string().optional().meta({ description: "Whose it is, where it is not the caller's." }),
    task_id: z.string(),
    status: z.enum(statuses),
    created_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    schema_ok: z.boolean().nullable(),
    artifact_rel: z.string().nullable(),
    error: StoredError.optional(),
    poll_url: z.string(),
  })
  .meta({ id: "ExtractEntry" });
export type Entry = z.output<typeof Entry>;

/** Rows that a page looks at: with a filter that fits few it is shorter, and the next begins behind them. */
const looked = 1_000;

/** Work whose lease ran out without a message that brings it back was interrupted, and is not going on. */
const going = (now: Date): SQL =>
  sql`(status = 'queued' OR (status = 'running' AND (input IS NOT NULL OR lease_until > ${now.getTime()})))`;

/**
 * A page of a key's single extracts, newest first; items of runs are in their run. It costs at most 1,000 rows of an index
 * on key and time, however many there are: a page may be short, or empty with a `next_cursor`.
 * @throws AppError `invalid_request` for a cursor that is none, `not_found` for another key's, `storage_unavailable`.
 */
export async function list(
  db: Database.Db,
  query: {
    principal: Principal;
    log: Log;
    keyId: string | undefined;
    taskId: string | undefined;
    status: (typeof statuses)[number] | undefined;
    limit: number;
    cursor: string | undefined;
  },
): Promise<{ items: Entry[]; next_cursor: string | null }> {
  const { principal, status, limit, taskId } = query;
  const keyId = Visible.visibleKey(principal, query.keyId, {
    log: query.log,
    action: "read",
    what: "extracts",
  });
  const after = Cursor.decode(Cursor.Place, query.cursor);
  const most = status === undefined && taskId === undefined ? limit + 1 : looked;
  const rows = await read(db, keyId, after, most);
  const fits = rows.filter(
    (row) =>
      (status === undefined || statusOf(row) === status) && (taskId === undefined || row.taskId === taskId),
  );
  const shown = fits.slice(0, limit);
  if (shown.length === 0 && after === undefined) await Known.demand(db, query);
  const more = fits.length > limit || rows.length === looked;
  const last = fits.length > limit ? shown.at(-1) : rows.at(-1);
  return {
    items: shown.map((row) => ({
      request_id: row.requestId,
      ...(keyId === principal.keyId ? {} : { key_id: keyId }),
      task_id: row.taskId,
      status: statusOf(row),
      created_at: row.createdAt.toISOString(),
      ended_at: row.endedAt?.toISOString() ?? null,
      schema_ok: row.schemaOk,
      artifact_rel: row.artifactRel,
      ...(statusOf(row) === "failed" ? { error: errorOf(row) } : {}),
      poll_url: `/v1/extracts/${row.requestId}`,
    })),
    next_cursor:
      more && last !== undefined ? Cursor.encode([last.createdAt.getTime(), last.requestId]) : null,
  };
}

/** The next rows of a key, newest first. */
function read(
  db: Database.Db,
  keyId: string,
  after: z.output<typeof Cursor.Place> | undefined,
  most: number,
) {
  // As one comparison of rows, which the index answers; with OR it would be read from its beginning for every page.
  const behind = after && sql`(created_at, request_id) < (${after[0]}, ${after[1]})`;
  return Database.read(
    db.query
      .select({
        requestId: extract.requestId,
        taskId: extract.taskId,
        createdAt: extract.createdAt,
        endedAt: extract.endedAt,
        schemaOk: extract.schemaOk,
        artifactRel: extract.artifactRel,
        errorCode: extract.errorCode,
        errorMessage: extract.errorMessage,
        errorDetails: extract.errorDetails,
        status: extract.status,
        going: sql<number>`${going(new Date())}`,
      })
      .from(extract)
      // Literal, as in the index: what was deleted is in it no more.
      .where(and(eq(extract.keyId, keyId), sql`status NOT IN ('deleting', 'deleted')`, behind))
      .orderBy(desc(extract.createdAt), desc(extract.requestId))
      .limit(most),
  );
}

const statusOf = (row: Awaited<ReturnType<typeof read>>[number]) =>
  row.status === "succeeded" ? row.status : Number(row.going) === 1 ? "running" : "failed";

function errorOf(row: {
  errorCode: string | null;
  errorMessage: string | null;
  errorDetails: Record<string, unknown> | null;
}): z.output<typeof StoredError> {
  const { errorCode, errorMessage, errorDetails } = row;
  return {
    code: errorCode === null ? "internal" : (errorCode as Code),
    message: errorMessage ?? Row.interrupted().message,
    ...(errorDetails === null ? {} : { details: errorDetails }),
  };
}
