import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import { AppError, from } from "#core/error";
import * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import * as Budget from "#core/reading/budget";
import { type Job, waitForStorage } from "#core/reading/job";
import type { Performed } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import * as Steps from "#core/reading/steps/steps";
import { isolateFrom } from "#core/reading/suspicion";
import { usedOf } from "#core/reading/used";
import * as Stalled from "#core/run/control/stalled";
import * as Progress from "#core/run/dispatch/progress";
import * as Window from "#core/run/dispatch/window";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import { requestIdOf } from "#core/run/serialize";
import type { RunServices } from "#core/run/services";
import { slotsOf } from "#core/run/slots/width";
import * as Task from "#core/task/task";
import { asCrash, asEnding, compose, failure, identityOf } from "./artifact.ts";
import { ask } from "./ask.ts";
import * as Claim from "./claim.ts";
import * as Ending from "./ending.ts";
import * as Picture from "./picture.ts";
import * as Suspect from "./suspect.ts";

/** `done`: the message may be deleted; `again`: it must come back when its visibility ends. */
type Outcome = "done" | "again";

/** A claimed item, its message, and how much time there is. */
interface Work {
  services: RunServices;
  log: Log;
  run: RunRow;
  row: ItemRow;
  message: Window.ItemMessage;
  job: Job;
}

/**
 * Works on an item. `done` means that the item ended, waits for the model server, has a new message, or belongs to
 * another worker. An outage of the model server or of the storage costs the item no attempt.
 * @throws AppError `storage_unavailable`; the message is held a little longer at each receive.
 */
export async function work(
  services: RunServices,
  log: Log,
  message: Window.ItemMessage,
  job: Job,
): Promise<Outcome> {
  let claimed: Claim.Claimed | undefined;
  const early = Picture.begin(services, message, log);
  try {
    claimed = await Claim.claim(services.db, message, job.leaseUntil);
    if (claimed === undefined) return "done";
    // Log lines of an item are found by its run and by its public id.
    const { run, item: row } = claimed;
    const lines = log.child({ run_id: run.runId, request_id: requestIdOf(run, message.index) });
    if (row === undefined) return await notOurs(services, lines, claimed, { message, job });
    // The message before it in this group was never received, so the messages that were sent with that one are lost,
    // too.
    if (message.again) await Stalled.anew(services, run, lines);
    return await attempt({ services, log: lines, run, row, message, job }, claimed, early);
  } catch (thrown) {
    const error = from(thrown);
    const row = claimed?.item;
    const unclaim = async () => {
      if (row !== undefined) await Ending.unclaim(services.db, row);
      return true;
    };
    if (error.code === "storage_unavailable")
      await waitForStorage(services.times, log, job, { unclaim, event: "item_not_released" });
    throw error;
  }
}

/** Why a message had nothing to claim, and what follows. */
async function notOurs(
  services: RunServices,
  log: Log,
  { run, found }: Claim.Claimed,
  { message, job }: Pick<Work, "message" | "job">,
): Promise<Outcome> {
  const current =
    found !== undefined &&
    run.state === "running" &&
    run.epoch === message.epoch &&
    found.sendSeq === message.seq;
  const now = Date.now();
  if (current && found.status === "queued" && message.slot >= slotsOf(run)) {
    await Ending.recall(services.db, run, message);
    const outlook = await Progress.read(services.db, run.runUid);
    if (outlook !== undefined) await Progress.duties(services, outlook, log, { again: true });
    return "done";
  }
  if (current && found.status === "queued") {
    // Received too early: it comes back when its pause is over.
    await job.hold((found.notBefore?.getTime() ?? now) - now);
    return "again";
  }
  // Another worker has it. In the same slot this is the same message, delivered twice; in another slot it is a
  // superfluous copy.
  if (current && found.status === "running" && found.slot === message.slot) {
    await job.hold((found.leaseUntil?.getTime() ?? now) - now + 1_000);
    return "again";
  }
  // The item ended, or the message has an older epoch or number. The worker that ended the item may have died before
  // it ordered what follows.
  const outlook = await Progress.read(services.db, run.runUid);
  if (outlook !== undefined) await Progress.duties(services, outlook, log, { again: true });
  return "done";
}

async function attempt(
  work: Work,
  { breaker, aloneUntil }: Claim.Claimed,
  early: Picture.Early | undefined,
): Promise<Outcome> {
  const { services, log, run, row, message, job } = work;
  // The lease covers only the gap until the message's visibility is set.
  await job.held;
  const before = await Ending.storedBefore(services, log, run, row);
  if (before !== undefined) {
    await Steps.remove(services.bucket, log, identityOf(run, row));
    await Progress.duties(services, before, log, { again: true });
    return "done";
  }
  const about = { startedAt: job.startedAt, version: services.version };
  let kept = row.sourceKind === "run";
  const fails = (error: AppError) => end(work, failure(run, row, error, { ...about, kept }));
  if (row.claims > Budget.maxClaims)
    return fails(new AppError("internal", "the work on this item was interrupted too often"));
  if (breaker.kind !== "closed") return waitForModel(work, { suspect: false, spent: undefined });
  if (aloneUntil !== undefined) return giveWay(work);
  const task = Task.get(run.taskId);
  if (task === undefined) return fails(new AppError("internal", "the task of this run is gone"));

  let alone = false;
  const onAlone = (is: boolean) => {
    alone = is;
  };
  const picture = Picture.of(row, message) ? early : undefined;
  const asked = await Lease.during(
    job,
    (until) => Claim.renew(services.db, row, until, { alone }),
    log,
    (signal) => ask(services, { run, row, task, early: picture }, job, { signal, log, onAlone }),
  );
  // Another worker has the item and ends it.
  if (asked === undefined) return "done";
  if (asked.kind === "crowded") return giveWay(work);
  kept ||= asked.kept;
  if (asked.kind === "unreadable") {
    // A fault of ours: the decoder's process could not be started.
    const mayPass = Picture.mayPass(asked.error) || asked.error.code === "internal";
    return mayPass && row.attempts + 1 < Budget.maxAttempts
      ? later(work, { spent: undefined, counted: true })
      : fails(asked.error);
  }
  const { performed, document, stored: callsCounted } = asked;
  const artifact = compose(run, row, performed, { ...about, document, kept });
  const { error } = performed;
  const spent = usedOf(artifact, row.callsCounted);
  if (performed.isStepOver) return later(work, { spent, callsCounted, counted: false, delayMs: 0 });
  if (error === undefined || !error.retry) return end(work, artifact);
  return afterFailure(work, { performed, error, artifact, spent: { spent, callsCounted } });
}

/**
 * A suspect has the model server for itself, so the message comes back as if it had not been received: soon at first,
 * then less often, so that a long wait does not make it a dead letter.
 */
async function giveWay({ services, row, job }: Work): Promise<Outcome> {
  await Ending.unclaim(services.db, row);
  await job.hold(services.times.weatherHoldMs * 2 ** Math.min(2, job.receiveCount - 1));
  return "again";
}

interface Failed {
  performed: Performed;
  error: AppError;
  artifact: Artifact;
  spent: Spent;
}

/** The usage of the model since the last count, and how many stored calls that includes. */
type Spent = Pick<Ending.Requeue, "spent" | "callsCounted">;

/** Decides what follows a failure after which the item may be tried again. */
async function afterFailure(work: Work, { performed, error, artifact, spent }: Failed): Promise<Outcome> {
  const { services, log, run, row } = work;
  const { requeueDelaysMs } = services.times;
  const failed = { error, thrown: performed.error };
  const verdict = Budget.afterFailure(row, failed, { isolates: true, requeueDelaysMs });
  if (verdict.kind === "final") return end(work, asEnding(run, row, artifact));
  if (verdict.kind === "crash") {
    // A single extract was at the server as well and may be the cause: the item is not suspected, but the attempt
    // counts.
    const mayBeOther = row.attempts + 1 < Budget.maxAttempts && (await Suspect.beside(services.db));
    if (!mayBeOther) return end(work, asCrash(asEnding(run, row, artifact)));
  }
  await Record.recordAttempt(services, log, artifact);
  if (verdict.kind === "crash") return later(work, { ...spent, counted: true });
  if (verdict.kind === "again") return later(work, { ...spent, ...verdict });
  return waitForModel(work, { suspect: verdict.suspect, ...spent });
}

/** Requeues the item without a message and pauses its run; the attempt does not count. */
async function waitForModel(
  { services, log, run, row, message }: Work,
  { suspect, spent, callsCounted }: Pick<Ending.Requeue, "suspect"> & Spent,
): Promise<Outcome> {
  await Breaker.trip(services.db, services.times.breakerRetryMs);
  const { outlook } = await Ending.requeue(services.db, run, row, {
    countAttempt: false,
    suspect,
    notBefore: null,
    spent,
    callsCounted,
    pauseEpoch: message.epoch,
  });
  log.info("run_waiting", { run_id: run.runId, waiting_for: "model_server" });
  await Probe.ensure(services, log);
  if (outlook !== undefined) await Progress.duties(services, outlook, log);
  return "done";
}

/** Requeues the item at the end of its slot, with a pause; a suspect gets no message. */
async function later(
  { services, log, run, row, message }: Work,
  why: Spent & { counted: boolean; suspect?: boolean; delayMs?: number },
): Promise<Outcome> {
  const delayMs = why.delayMs ?? Budget.pauseMs(row, services.times.requeueDelaysMs);
  const { item: now, outlook } = await Ending.requeue(services.db, run, row, {
    countAttempt: why.counted,
    suspect: why.suspect === true,
    notBefore: delayMs === 0 ? null : new Date(Date.now() + delayMs),
    spent: why.spent,
    callsCounted: why.callsCounted,
  });
  if (outlook === undefined) return "done";
  if (now?.status === "canceled") await Steps.remove(services.bucket, log, identityOf(run, row));
  const goesOn = now?.status === "queued" && outlook.run.epoch === message.epoch;
  const isInForce = message.slot < slotsOf(outlook.run);
  if (goesOn && now.suspects < isolateFrom && isInForce) {
    const sent = await Window.send(services, [{ ...message, seq: now.sendSeq }], log);
    await Window.note(services.db, outlook.run, sent);
    if (sent.length > 0) return "done";
  }
  await Progress.duties(services, outlook, log, { again: true });
  return "done";
}

async function end({ services, log, run, row }: Work, artifact: Artifact): Promise<Outcome> {
  const outlook = await Ending.conclude(services, log, { run, row }, artifact);
  // Only a document of several calls has stored calls.
  if (Record.hasSteps(artifact)) await Steps.remove(services.bucket, log, identityOf(run, row));
  if (outlook !== undefined) await Progress.duties(services, outlook, log);
  return "done";
}
