import { and, eq, type SQL, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Version from "#core/bucket/version";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import { keyTable } from "#core/key/key.sql";
import type { Log } from "#core/log";
import * as Due from "#core/run/notify/due";
import type { Planning } from "#core/run/planning";
import { type RunRow, runTable as run } from "#core/run/run.sql";
import type { ExtractError } from "#core/run/schema";
import type { RunStores } from "#core/run/services";
import * as Allowance from "#core/usage/allowance";
import * as Usage from "#core/usage/usage";
import { noLimits } from "#spec/key-limits";
import { batches } from "#spec/limits";
import * as Chosen from "./chosen.ts";
import * as Items from "./items.ts";
import * as Line from "./line.ts";
import * as Resolve from "./resolve.ts";

type Outcome = "done" | "more" | "failed";
type Manifest = Extract<Planning, { phase: "manifest" }>;
type Taking = Extract<Planning, { phase: "rerun" }>;

/** What is read, looked up and inserted together. */
interface Sizes {
  lines: number;
  bytes: number;
  taken: number;
  removed: number;
}

/**
 * The rows of a chunk are at most some megabytes of SQL; the look-ups of a step take two or three seconds in a slow
 * bucket.
 */
export const sizes: Sizes = { lines: 500, bytes: 1024 * 1024, taken: 500, removed: 5_000 };

/** Sentinel offset: the manifest is fully checked. */
const atEnd = Number.MAX_SAFE_INTEGER;

/**
 * Checks a run's source, chunk by chunk. Rows and cursor change together by compare-and-set, so a step that is
 * repeated, or overlaps another, inserts nothing twice. No message is sent before the whole source is valid. If it is
 * not, the rows are removed and the run is `failed`, with the first mistakes.
 * @returns "done" if the run is no longer being checked (running, canceled, removed) or has nothing for the planner
 *   to check; "more": call again; "failed".
 * @throws AppError `storage_unavailable`: call again.
 */
export async function step(
  services: RunStores,
  row: RunRow,
  time: { deadline: number; chunk?: Sizes },
  log: Log,
): Promise<Outcome> {
  const work: Work = { services, time, log, chunk: time.chunk ?? sizes };
  let now: RunRow | undefined = row;
  while (now?.state === "planning" && now.planning !== null && now.planning.phase !== "receiving") {
    if (Date.now() > time.deadline) return "more";
    const outcome: Outcome | "again" =
      now.planning.phase === "manifest"
        ? await manifest(work, now, now.planning)
        : await taking(work, now, now.planning);
    if (outcome !== "again") return outcome;
    now = await reread(services, row.runUid);
  }
  return now?.state === "failed" ? "failed" : "done";
}

interface Work {
  services: RunStores;
  time: { deadline: number };
  log: Log;
  chunk: Sizes;
}

async function reread({ db }: Pick<RunStores, "db">, runUid: string): Promise<RunRow | undefined> {
  return (await Database.read(db.query.select().from(run).where(eq(run.runUid, runUid))))[0];
}

/** The run is as it was read: the cursor did not move, and it was neither canceled nor deleted. */
const unmoved = (runUid: string, planning: Planning): SQL =>
  sql`${run.runUid} = ${runUid} AND ${run.state} = 'planning' AND ${run.planning} = ${JSON.stringify(planning)}`;

/** Lines of a manifest that are checked together. */
interface Chunk {
  parsed: Line.Parsed[];
  /** Lines that are not blank. */
  count: number;
  end: number;
  line: number;
}

/** "again": another step changed the run, so it must be read again. */
async function manifest(work: Work, row: RunRow, from: Manifest): Promise<Outcome | "again"> {
  const { services, log, time } = work;
  let planning = from;
  if (planning.offset !== atEnd) {
    const { objectKey: rel, etag, offset } = planning;
    const source = await Version.from(services.bucket, log, { rel, etag, offset });
    if (source === undefined) return fail(work, row, planning, Resolve.replaced());
    for await (const chunk of chunksOf(work, source, planning)) {
      const next = await advance(work, row, planning, chunk);
      if (next === undefined) return "again";
      planning = next;
      if (planning.offset === atEnd) break;
      if (Date.now() > time.deadline) return "more";
    }
  }
  if (planning.issueCount > 0)
    return fail(work, row, planning, Resolve.refused(planning.issues, planning.issueCount));
  if (planning.rows === 0) return fail(work, row, planning, Resolve.refused([Resolve.empty]));
  return begin(work, row, planning, planning.rows);
}

/** The manifest from the cursor on; the last chunk ends at `atEnd`. */
async function* chunksOf(
  work: Work,
  source: AsyncIterable<Uint8Array>,
  from: Manifest,
): AsyncGenerator<Chunk> {
  const { lines: most, bytes: mostBytes } = work.chunk;
  const allowed = Math.min(from.limit ?? batches.manifestLines, batches.manifestLines);
  let seen = from.rows;
  let begin = from.offset;
  let chunk: Chunk = { parsed: [], count: 0, end: from.offset, line: from.line };
  for await (const raw of Line.split(source, from)) {
    chunk.end = raw.end;
    chunk.line = raw.line;
    if (raw.kind !== "blank") {
      if (seen === allowed) {
        if (from.limit === null || from.limit > allowed) chunk.parsed.push(tooMany(raw.line));
        break;
      }
      seen += 1;
      chunk.count += 1;
      chunk.parsed.push(Line.parse(raw, from.temporary));
      if (raw.kind === "endless") break;
    }
    if (chunk.count >= most || raw.end - begin >= mostBytes) {
      yield chunk;
      begin = raw.end;
      chunk = { parsed: [], count: 0, end: raw.end, line: raw.line };
    }
  }
  yield { ...chunk, end: atEnd };
}

const tooMany = (line: number): Line.Parsed => ({
  issues: [
    {
      line,
      path: "",
      message: `more than ${batches.manifestLines} lines: split it into several runs (what follows was not checked)`,
    },
  ],
});

/**
 * Inserts a chunk's rows and moves the cursor. It also does so after a mistake: later lines can only be compared with
 * rows, and all mistakes are reported.
 * @returns the cursor; undefined if the run has changed.
 */
async function advance(
  work: Work,
  row: RunRow,
  planning: Manifest,
  chunk: Chunk,
): Promise<Manifest | undefined> {
  const { services, log } = work;
  const entries = chunk.parsed.flatMap(({ entry }) => entry ?? []);
  const viewer = { keyId: row.keyId, allKeys: row.allKeys };
  // A look-up in the bucket may take as long as a step, or a little longer; the cursor moves only afterwards.
  const looking = { viewer, deadline: Math.max(work.time.deadline, Date.now() + lookMs) };
  const resolved = await Resolve.resolve(services, log, entries, looking);
  const repeated = Resolve.repeated(entries);
  const issues: ExtractError[] = [
    ...chunk.parsed.flatMap((parsed) => parsed.issues ?? []),
    ...resolved.issues,
    ...repeated,
  ];
  const next: Manifest = {
    ...planning,
    offset: chunk.end,
    line: chunk.line,
    rows: planning.rows + chunk.count,
  };
  const again = new Set(repeated.map(({ line }) => line));
  const places = new Map(chunk.parsed.map(({ entry }, place) => [entry?.line, place]));
  const pictures = resolved.pictures
    .filter(({ line }) => !again.has(line))
    .map((picture) => ({ ...picture, place: places.get(picture.line) ?? 0 }));
  const moved = await insert(work, row, { planning, next: withIssues(next, issues) }, pictures);
  if (moved !== "repeated") return moved ? withIssues(next, issues) : undefined;
  const taken = await Resolve.known(
    services,
    row.runUid,
    { first: planning.rows, count: chunk.count },
    entries,
  );
  // No name is repeated, so something else has changed.
  if (taken.length === 0) return undefined;
  return note(services, row, planning, withIssues(next, [...issues, ...taken]));
}

function withIssues(planning: Manifest, issues: readonly ExtractError[]): Manifest {
  if (issues.length === 0) return planning;
  return {
    ...planning,
    issues: [...planning.issues, ...Resolve.firstOf(issues)].slice(0, batches.namedIssues),
    issueCount: planning.issueCount + issues.length,
  };
}

/** Half of the time that a queue function reserves for its end. */
const lookMs = 2_000;

/** @returns true when done; "repeated" if some of the items could not be inserted. */
async function insert(
  { services: { db } }: Work,
  row: RunRow,
  { planning, next }: { planning: Manifest; next: Manifest },
  pictures: readonly (Resolve.Picture & { place: number })[],
): Promise<boolean | "repeated"> {
  const here = unmoved(row.runUid, planning);
  const onlyIf = sql`EXISTS (SELECT 1 FROM ${run} WHERE ${here}) AND ${Resolve.uploadsAreThere(pictures)}`;
  const complete = sql`(SELECT count(*) FROM item WHERE run_uid = ${row.runUid} AND idx >= ${planning.rows} AND idx < ${next.rows}) = ${pictures.length}`;
  const results = await Database.batch(db, [
    // Rows of a step that found a repeated name and was killed before it could report it.
    Items.removeFrom(row.runUid, planning.rows, sql`EXISTS (SELECT 1 FROM ${run} WHERE ${here})`),
    ...Items.insert(row.runUid, planning.rows, pictures, onlyIf),
    db.query
      .update(run)
      .set({ planning: next, total: next.rows, touchedAt: new Date() })
      .where(and(here, complete)),
    db.query.select().from(run).where(eq(run.runUid, row.runUid)),
  ]);
  if (results.at(-2)?.rowsAffected === 1) return true;
  const now = Database.rows(run, results.at(-1))[0];
  const moved = now?.state !== "planning" || JSON.stringify(now.planning) !== JSON.stringify(planning);
  return moved ? false : "repeated";
}

async function note(
  { db }: Pick<RunStores, "db">,
  row: RunRow,
  planning: Planning,
  next: Manifest,
): Promise<Manifest | undefined> {
  const [moved] = await Database.batch(db, [
    db.query.update(run).set({ planning: next, touchedAt: new Date() }).where(unmoved(row.runUid, planning)),
  ]);
  return moved?.rowsAffected === 1 ? next : undefined;
}

/** Takes over the next items of the source run. */
async function taking(work: Work, row: RunRow, from: Taking): Promise<Outcome | "again"> {
  const { services, log, time } = work;
  const { db } = services;
  const source = { runUid: from.sourceRunUid, keyId: row.keyId };
  let planning = from;
  for (;;) {
    const { only, afterIndex, rows } = planning;
    const chosen = await Chosen.chunk(services, source, {
      only: only,
      after: afterIndex,
      most: work.chunk.taken,
    });
    const last = chosen.at(-1);
    if (last === undefined) break;
    let taken: Items.Taken[];
    try {
      taken = await Chosen.check(services, log, chosen, Math.max(time.deadline, Date.now() + lookMs));
    } catch (thrown) {
      if (thrown instanceof AppError && !thrown.retry) return fail(work, row, planning, thrown);
      throw thrown;
    }
    const next: Taking = { ...planning, afterIndex: last.index, rows: rows + chosen.length };
    const here = unmoved(row.runUid, planning);
    const complete = sql`(SELECT count(*) FROM item WHERE run_uid = ${row.runUid} AND idx >= ${rows} AND idx < ${next.rows}) = ${chosen.length}`;
    const results = await Database.batch(db, [
      Items.takeOver(
        { runUid: row.runUid, first: rows },
        source,
        taken,
        sql`EXISTS (SELECT 1 FROM ${run} WHERE ${here})`,
      ),
      db.query
        .update(run)
        .set({ planning: next, total: next.rows, touchedAt: new Date() })
        .where(and(here, complete)),
    ]);
    if (results.at(-1)?.rowsAffected !== 1) return "again";
    planning = next;
    if (Date.now() > time.deadline) return "more";
  }
  // The source run was deleted in the meantime, together with its inputs.
  const alive = await reread(services, source.runUid);
  if (alive === undefined || alive.state === "deleting" || alive.state === "deleted" || planning.rows === 0)
    return fail(work, row, planning, Chosen.inputsNotKept());
  return begin(work, row, planning, planning.rows);
}

/** The source is valid: starts the run if the key has room for it. */
async function begin(work: Work, row: RunRow, planning: Planning, total: number): Promise<Outcome | "again"> {
  const { services, log } = work;
  const { db } = services;
  const now = new Date();
  const user = await userOf(services, row.keyId);
  const tooMany = Allowance.overRunSize(user, total);
  if (tooMany !== undefined) return fail(work, row, planning, tooMany);
  const results = await Database.batch(db, [
    db.query
      .update(run)
      .set({ state: "running", planning: null, total, startedAt: now, touchedAt: now })
      .where(and(unmoved(row.runUid, planning), Allowance.allows(user, total, now))),
    Usage.countItems({ keyId: row.keyId, taskId: row.taskId, items: total, now }, sql`changes() = 1`),
    db.query.select().from(run).where(eq(run.runUid, row.runUid)),
  ]);
  if (results[0]?.rowsAffected === 1) {
    log.info("run_checked", { run_id: row.runId, items: total });
    await removeList(work, planning);
    return "done";
  }
  const found = Database.rows(run, results[2])[0];
  if (found?.state !== "planning" || JSON.stringify(found.planning) !== JSON.stringify(planning))
    return "again";
  return fail(work, row, planning, await Allowance.refusal(db, user, total, now));
}

/** The key's limits may have changed since the call. */
async function userOf({ db }: Pick<RunStores, "db">, keyId: string): Promise<Allowance.User> {
  const [key] = await Database.read(db.query.select().from(keyTable).where(eq(keyTable.keyId, keyId)));
  return { keyId, limits: key ?? noLimits };
}

/** Removes the inserted rows, then ends the run. */
async function fail(
  work: Work,
  row: RunRow,
  planning: Planning,
  error: AppError,
): Promise<Outcome | "again"> {
  const { services, time, log, chunk } = work;
  const { db } = services;
  const here = unmoved(row.runUid, planning);
  for (;;) {
    const [removed] = await Database.batch(db, [
      Items.remove(row.runUid, chunk.removed, sql`EXISTS (SELECT 1 FROM ${run} WHERE ${here})`),
    ]);
    if ((removed?.rowsAffected ?? 0) < chunk.removed) break;
    if (Date.now() > time.deadline) return "more";
  }
  const now = new Date();
  const [ended] = await Database.batch(db, [
    db.query
      .update(run)
      .set({
        state: "failed",
        planning: null,
        total: 0,
        errorCode: error.code,
        errorMessage: error.message,
        errorDetails: error.details ?? null,
        finishedAt: now,
        touchedAt: now,
      })
      .where(and(here, sql`NOT EXISTS (SELECT 1 FROM item WHERE run_uid = ${row.runUid})`)),
  ]);
  if (ended?.rowsAffected !== 1) return "again";
  log.info("run_end", {
    run_id: row.runId,
    status: "failed",
    code: error.code,
    duration_ms: now.getTime() - row.createdAt.getTime(),
  });
  await removeList(work, planning);
  await Due.order(services, row, log);
  return "failed";
}

/** The list of a folder is needed only for the check. */
async function removeList({ services, log }: Work, planning: Planning): Promise<void> {
  if (planning.phase === "manifest" && planning.temporary)
    await Bucket.remove(services.bucket, log, planning.objectKey);
}
