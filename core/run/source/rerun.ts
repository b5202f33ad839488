import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Width from "#core/run/slots/width";
import * as Allowance from "#core/usage/allowance";
import * as Webhook from "#core/webhook/webhook";
import { batches } from "#spec/limits";
import * as EvaluateBy from "../evaluate-by.ts";
import { itemTable as item, type RunRow, runTable as run } from "../run.sql.ts";
import type { RerunRequest } from "../schema.ts";
import type { RunStores } from "../services.ts";
import * as Begin from "./begin.ts";
import * as Chosen from "./chosen.ts";
import * as Items from "./items.ts";
import * as Labels from "./labels.ts";

/**
 * Makes a run of the items of another run, which has ended and kept its inputs: up to 1,000 items here, more by the
 * planner. Their names are taken over.
 * @throws AppError `not_found` if the key has no such run; `conflict` with `details.reason` `run_active`,
 *   `inputs_not_kept` or `nothing_to_rerun`; otherwise as `create`.
 */
export async function rerun(
  services: RunStores,
  log: Log,
  input: RerunRequest,
  caller: Begin.Caller,
): Promise<Begin.Created> {
  if (input.task_id !== undefined) await Begin.checkTask(input.task_id);
  const { source_run_id, only, index, webhook_url } = input;
  const which = { only, index };
  const wish = { runId: input.run_id, payload: payloadOf(input) };
  const identity = await Begin.identify(services, wish, caller);
  if (identity.known !== undefined) return { run: identity.known, replayed: true };
  const source = await sourceRun(services, source_run_id, caller);
  if (webhook_url !== undefined) await Webhook.check(webhook_url, log, caller.deadline);

  const { total, lost } = await count(services, source, which);
  if (total === 0)
    throw new AppError("conflict", "this run has no items to run again", {
      details: { reason: "nothing_to_rerun" },
    });
  if (lost > 0) throw Chosen.inputsNotKept({ missing: lost, checked: total });
  const what = {
    evaluateBy: await Labels.check(services, log, input, caller.principal),
    taskId: input.task_id ?? source.taskId,
    ...Width.asked(services, input.concurrency ?? askedBy(source), caller.principal),
    source: "rerun" as const,
    persistInputs: input.persist_inputs,
    look: input.look ?? source.look,
    ...{ maxPages: input.max_pages ?? source.maxPages, split: input.split ?? source.split },
    sourceRunId: source.runId,
    webhookUrl: webhook_url ?? null,
    expiresAfterS: input.expires_after ?? null,
  };
  // From then on the source run, and any run whose pictures it names, can be deleted only after this one has ended.
  const onlyIf = sql`EXISTS (SELECT 1 FROM ${run} WHERE run_uid = ${source.runUid} AND state = ${source.state})
    AND NOT EXISTS (SELECT 1 FROM ${item} WHERE ${Items.chosen(source.runUid, which)} AND kept = 0 AND ${Chosen.isGoing(source.keyId)})`;
  const small = total <= batches.inlineManifestLines;
  const chosen = small ? await Chosen.chunk(services, source, { ...which, after: -1, most: total }) : [];
  const taken = small ? await Chosen.check(services, log, chosen, caller.deadline) : [];
  const row = Begin.draft(
    identity,
    caller,
    what,
    small
      ? { total }
      : { planning: { phase: "rerun", sourceRunUid: source.runUid, afterIndex: -1, rows: 0, only } },
  );
  const items = small
    ? [Items.takeOver({ runUid: row.runUid, first: 0 }, source, taken, Begin.exists(row.runUid))]
    : [];
  const made = await Begin.commit(services, { row, identity, caller }, { onlyIf, items });
  if (made === undefined) {
    // The run or its pictures were removed in the meantime, or the key has no room.
    const now = await count(services, await sourceRun(services, source_run_id, caller), which);
    if (now.lost > 0) throw Chosen.inputsNotKept({ missing: now.lost, checked: now.total });
    throw await Allowance.refusal(services.db, caller.principal, Math.max(1, row.total), row.createdAt);
  }
  if (!made.replayed) await Begin.order(services, made.run, log);
  return made;
}

const askedBy = ({ concurrency, slots }: RunRow) => (slots === null ? concurrency : ("auto" as const));

/** What determines the run. */
function payloadOf(input: RerunRequest): unknown {
  const { source_run_id, only, index, task_id, concurrency, persist_inputs, webhook_url, expires_after } =
    input;
  return [
    "rerun",
    source_run_id,
    only,
    task_id ?? null,
    concurrency ?? null,
    persist_inputs,
    webhook_url ?? null,
    ...(expires_after === undefined ? [] : [expires_after]),
    ...(input.look === undefined ? [] : [{ look: input.look }]),
    ...(input.max_pages === undefined ? [] : [{ max_pages: input.max_pages }]),
    ...(input.split === undefined ? [] : [{ split: input.split }]),
    ...(index === undefined ? [] : [["index", index]]),
    ...EvaluateBy.payloadOf(input),
  ];
}

const ended = ["succeeded", "failed", "canceled"];

async function sourceRun(services: RunStores, runId: string, caller: Begin.Caller): Promise<RunRow> {
  const row = await Begin.find(services.db, caller.principal.keyId, runId);
  if (row === undefined || row.state === "deleted" || row.state === "deleting")
    throw new AppError("not_found", "there is no run with this source_run_id", { param: "source_run_id" });
  if (!ended.includes(row.state))
    throw new AppError("conflict", "the source run has not ended", { details: { reason: "run_active" } });
  return row;
}

/** How many items are chosen, and how many of their pictures were removed with the run. */
async function count(
  services: RunStores,
  source: RunRow,
  which: Items.Wish,
): Promise<{ total: number; lost: number }> {
  const [result] = await Database.batch(
    services.db,
    [
      Database.statement(
        sql`SELECT count(*) AS total, coalesce(sum(kept = 0 AND (source_kind = 'run' OR (source_kind = 'url' AND NOT ${source.persistInputs ? 1 : 0}) OR ${Chosen.isGoing(source.keyId)})), 0) AS lost FROM ${item} WHERE ${Items.chosen(source.runUid, which)}`,
      ),
    ],
    "read",
  );
  const seen = result?.rows[0];
  return { total: Number(seen?.total ?? 0), lost: Number(seen?.lost ?? 0) };
}
