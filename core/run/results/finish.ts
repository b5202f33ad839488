import { and, eq, isNull, sql } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import * as Database from "#core/db/database";
import type { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Finishing from "#core/run/finishing";
import * as Due from "#core/run/notify/due";
import { type RunRow, runTable } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Inputs from "#core/run/source/inputs";
import * as Items from "#core/run/source/items";
import { keptPrefix } from "#core/run/source/kept";
import * as Document from "./document.ts";
import * as Write from "./write.ts";

/*
 * step(…)  ends a run: writes its files, removes pictures that are no longer needed, then ends it
 * fail(…)  ends a run that could not be started
 */

/** Pictures that are removed between two saves. */
const inputsAtOnce = 500;

type Step = "done" | "more" | "not_yet";

/**
 * Takes a run that ends a bounded step further, up to its end if there is time. A step may be repeated, also after a
 * kill: what is written twice has the same bytes.
 * @param options.deadline - epoch milliseconds after which no new work begins.
 * @returns "not_yet" while items have not ended (the last one orders this again); "more": call again; "done", also
 *   for a run that has already ended, whose webhook is then ordered if it never was.
 * @throws AppError `storage_unavailable`: the same call continues where this one stopped.
 */
export async function step(
  services: RunStores,
  run: RunRow,
  options: { deadline: number; sizes?: Write.Sizes; artifactItems?: number },
  log: Log,
): Promise<Step> {
  const { deadline, sizes = Write.sizes } = options;
  const begun = await begin(services, run);
  if (begun === undefined) return "done";
  if (begun.state !== "finishing" || begun.finishing === null) return settle(services, begun, log);

  let state: Finishing.Finishing = begun.finishing;
  const save = async (next: Finishing.Finishing) => {
    await swap(services.db, begun, state, { finishing: next });
    state = next;
    return next;
  };
  try {
    // Finished documents stay; only an unfinished one is written again, in the current form.
    if (state.version !== services.version)
      state = await save({ ...state, ...Finishing.nextDocument(0), version: services.version });
    const documents = Document.list(begun, state.outcome, options.artifactItems);
    for (let next = documents[state.document]; next !== undefined; next = documents[state.document]) {
      const written = await Write.write(services, log, {
        run: begun,
        document: next,
        state,
        deadline,
        sizes,
        save,
      });
      if (!written || Date.now() >= deadline) return "more";
    }
    if (!(await removeInputs(services, log, begun, { held: () => state, save, deadline }))) return "more";
    await end(services, begun, state, log);
    return "done";
  } catch (thrown) {
    // Another worker does the same; it, or the next step, continues from what is stored.
    if (thrown instanceof Overtaken) return "more";
    throw thrown;
  }
}

/** The row has changed since this step read it. */
class Overtaken extends Error {}

/**
 * Reads the run, and sets it to `finishing` if its last item has ended. The end time is set once, so that everything
 * written about it agrees. Undefined if the run does not exist.
 */
async function begin(
  { db, version }: Pick<RunStores, "db" | "version">,
  run: RunRow,
): Promise<RunRow | undefined> {
  const now = new Date();
  const move = (from: "running" | "canceling") =>
    db.query
      .update(runTable)
      .set({
        state: "finishing",
        finishing: Finishing.begin(from === "running" ? "succeeded" : "canceled", version),
        waitingFor: null,
        finishedAt: now,
        touchedAt: now,
      })
      .where(
        and(
          eq(runTable.runUid, run.runUid),
          eq(runTable.state, from),
          isNull(runTable.planning),
          sql`${runTable.succeeded} + ${runTable.failed} + ${runTable.canceled} = ${runTable.total}`,
        ),
      );
  const results = await Database.batch(db, [
    move("running"),
    move("canceling"),
    db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid)),
  ]);
  return Database.rows(runTable, results.at(-1))[0];
}

/** What is left to do for a run that is not finishing. */
async function settle(services: RunStores, run: RunRow, log: Log): Promise<Step> {
  if (run.state === "planning" || run.state === "running" || run.state === "canceling") return "not_yet";
  await orderEvaluation(services, run, log);
  await orderWebhook(services, run, log);
  return "done";
}

/** Orders the evaluation by the labels that the run names. May be repeated: a run has one evaluation of its own. */
async function orderEvaluation(services: RunStores, run: RunRow, log: Log): Promise<void> {
  const { evaluateBy } = run;
  if (evaluateBy === null || (run.state !== "succeeded" && run.state !== "canceled")) return;
  const Evaluation = await import("#core/evaluation/evaluation");
  const GroundTruth = await import("#core/ground-truth/ground-truth");
  // If the labels were deleted, the evaluation reports it.
  const labels = "gt_id" in evaluateBy ? await GroundTruth.byId(services.db, evaluateBy.gt_id) : undefined;
  const wish = { labels: evaluateBy, groundTruth: labels, strMode: "strip" } as const;
  await Evaluation.order(services, log, { evalId: Evaluation.ownId(run), run, wish });
}

/** May be repeated: the delivery checks for an earlier one. */
async function orderWebhook(services: RunStores, run: RunRow, log: Log): Promise<void> {
  const ended = run.state === "succeeded" || run.state === "canceled" || run.state === "failed";
  if (ended && run.webhookUrl !== null && run.webhook === null) await Due.order(services, run, log);
}

/**
 * Changes the row if it is as `held` was read or written. The comparison is by text, because drizzle stores the same
 * value as the same text.
 * @throws Overtaken.
 */
async function swap(
  db: Database.Db,
  run: RunRow,
  held: Finishing.Finishing,
  changes: Partial<RunRow>,
): Promise<void> {
  const [result] = await Database.batch(db, [
    db.query
      .update(runTable)
      .set({ ...changes, touchedAt: new Date() })
      .where(
        and(eq(runTable.runUid, run.runUid), eq(runTable.state, "finishing"), eq(runTable.finishing, held)),
      ),
  ]);
  if (result?.rowsAffected !== 1) throw new Overtaken("the run is no longer as it was read");
}

type Save = (state: Finishing.Finishing) => Promise<Finishing.Finishing>;

/** @returns true when all pictures that must be removed are. */
async function removeInputs(
  services: RunStores,
  log: Log,
  run: RunRow,
  { held, save, deadline }: { held(): Finishing.Finishing; save: Save; deadline: number },
): Promise<boolean> {
  if (run.persistInputs) return true;
  for (;;) {
    const { last } = await Inputs.removeNext(services, log, run, {
      after: held().inputsDeleted,
      most: inputsAtOnce,
    });
    if (last === undefined) return true;
    await save({ ...held(), inputsDeleted: last });
    if (Date.now() >= deadline) return false;
  }
}

async function end(services: RunStores, run: RunRow, state: Finishing.Finishing, log: Log): Promise<void> {
  if (state.carried) {
    const { working } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
    await Inputs.removeBelow(services.bucket, log, working);
  }
  const artifactRel = Place.batchKey(run.keyId, run.runId, run.createdAt);
  await swap(services.db, run, state, { state: state.outcome, finishing: null, artifactRel });
  const ended: RunRow = { ...run, state: state.outcome, finishing: null, artifactRel };
  logEnd(ended, log);
  await orderEvaluation(services, ended, log);
  await orderWebhook(services, ended, log);
}

function logEnd(run: RunRow, log: Log): void {
  log.info("run_end", {
    run_id: run.runId,
    status: run.state,
    duration_ms: (run.finishedAt ?? new Date()).getTime() - run.createdAt.getTime(),
    succeeded: run.succeeded,
    failed: run.failed,
    canceled: run.canceled,
  });
}

/**
 * Ends a run that failed during planning, before any item was sent. Its rows and the pictures that came with it are
 * removed first, so that a repeat after a crash finds the run unchanged. Uploads stay, so that the caller can send
 * the corrected call. A run in another state stays, but a webhook that was never ordered is ordered.
 * @throws AppError `storage_unavailable`: repeat the call.
 */
export async function fail(services: RunStores, run: RunRow, error: AppError, log: Log): Promise<void> {
  const { db, bucket } = services;
  if (run.state === "planning") {
    while (!(await Items.removeRows(db, run.runUid)));
    await Inputs.removeBelow(bucket, log, keptPrefix(run));
    if (run.planning?.phase === "manifest" && run.planning.temporary)
      await Inputs.removeAll(bucket, log, [run.planning.objectKey]);
  }
  const now = new Date();
  const [moved, found] = await Database.batch(db, [
    db.query
      .update(runTable)
      .set({
        state: "failed",
        planning: null,
        total: 0,
        finishedAt: now,
        touchedAt: now,
        errorCode: error.code,
        errorMessage: error.message,
        errorDetails: error.details ?? null,
      })
      .where(and(eq(runTable.runUid, run.runUid), eq(runTable.state, "planning"))),
    db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid)),
  ]);
  const row = Database.rows(runTable, found)[0];
  if (row === undefined) return;
  if (moved?.rowsAffected === 1) logEnd(row, log);
  await orderWebhook(services, row, log);
}
