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

/** `running` includes queued extracts, as in `GET /v1/extracts/{request_id}`. */
export const statuses = ["running", "succeeded", "failed"] as const;

/** An extract without its result: a list reads no artifacts. */
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

/** Rows that a page reads. With a rare filter the page is shorter, and the next one begins after these rows. */
const looked = 1_000;

/** Work whose lease ended without a message to resume it was interrupted, and is not in progress. */
const going = (now: Date): SQL =>
  sql`(status = 'queued' OR (status = 'running' AND (input IS NOT NULL OR lease_until > ${now.getTime()})))`;

/**
 * A page of a key's single extracts, newest first; items of runs are listed with their run. A page reads at most
 * 1,000 rows of an index on key and time, so it may be short, or empty with a `next_cursor`.
 * @throws AppError `invalid_request` for an invalid cursor, `not_found` for another key, `storage_unavailable`.
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
  // As one comparison of rows, which the index can answer; with OR every page would read it from the beginning.
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
      // Written out as in the index, which has no deleted rows.
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
