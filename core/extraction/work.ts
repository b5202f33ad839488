import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import * as Bucket from "#core/bucket/bucket";
import { chosen } from "#core/document/chosen";
import * as Document from "#core/document/document";
import { AppError, from } from "#core/error";
import * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import * as Budget from "#core/reading/budget";
import { type Job, stepLimits, waitForStorage } from "#core/reading/job";
import type { Performed } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import type { Services } from "#core/reading/services";
import * as Steps from "#core/reading/steps/steps";
import { openSteps } from "#core/reading/stored-call";
import { usedOf } from "#core/reading/used";
import type { StoredInput } from "#core/source/source";
import * as Source from "#core/source/source";
import { read } from "#core/split/read";
import { override } from "#core/task/override";
import * as Task from "#core/task/task";
import type { Used } from "#core/usage/usage";
import { documents } from "#spec/limits";
import * as Claim from "./claim.ts";
import { conclude, storedBefore } from "./conclude.ts";
import * as Row from "./row.ts";
import * as Send from "./send.ts";

/** The work, and its deadline. */
interface Work {
  services: Services;
  log: Log;
  row: Row.Row;
  input: StoredInput;
  job: Job;
}

/**
 * Works on the queued extract whose turn it is, which may differ from the message's. A return means that the message
 * may be deleted: the extract ended, waits for the model server, has a new message, or belongs to another worker. An
 * outage of the model server costs no attempt.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function work(services: Services, called: Log, message: Send.Message, job: Job): Promise<void> {
  const id = { keyId: message.key_id, requestId: message.request_id };
  const { row, outlook } = await Claim.claimQueued(services.db, id, job.leaseUntil);
  if (row === undefined || row.input === null) return;
  const log = called.child({ extract_id: row.requestId });
  const work: Work = { services, log, row, input: row.input, job };
  if (outlook.breaker.kind !== "closed" && row.pendingArtifact === null)
    return waitForModel(work, { suspect: false, used: undefined });
  try {
    if ((await storedBefore(services, log, row)) !== undefined) await Steps.remove(services.bucket, log, row);
    else {
      if (row.claims > Budget.maxClaims)
        await Row.release(
          services.db,
          row,
          new AppError("internal", "the work on this extract was interrupted too often"),
        );
      else await attempt(work);
    }
  } catch (thrown) {
    const error = from(thrown);
    if (error.code === "storage_unavailable")
      await waitForStorage(services.times, log, job, {
        unclaim: () => Row.unclaim(services.db, row),
        event: "extract_not_released",
      });
    // A final failure is stored like any ending.
    if (error.retry) throw error;
  }
  const now = await Row.find(services.db, row.keyId, row.requestId);
  if (now === undefined || now.status === "queued" || now.status === "running") return;
  await discardInput(services, log, now);
}

/** Deletes the copy of an ended extract's picture. */
export async function discardInput(
  services: Pick<Services, "db" | "bucket">,
  log: Log,
  row: Row.Row,
): Promise<void> {
  if (row.input === null) return;
  // The object is deleted first: after a crash in between reconcile finds the row again. The copy belongs to this
  // hand-over, so the copy and the row of a later one are not touched.
  if (row.input.temporary) await Bucket.remove(services.bucket, log, row.input.objectKey);
  await Row.forgetInput(services.db, row);
}

async function attempt(work: Work): Promise<void> {
  const { services, log, row, input, job } = work;
  const renew = (until: Date) => Row.renew(services.db, row, until);
  const asked = await Lease.during(job, renew, log, (signal) => ask(work, signal));
  // Another worker has the extract and ends it.
  if (asked === undefined) return;
  if ("unasked" in asked) {
    await Row.release(services.db, row, asked.unasked);
    return;
  }
  const { performed, document, stored: callsCounted } = asked;
  const artifact = Record.compose(row, performed, {
    input: Record.inputOf(document, input.source, input.declaredMimeType, input.objectKey),
    principal: { key_id: row.keyId, role: input.principalRole },
    codeVersion: services.version,
    totalMs: Date.now() - job.startedAt,
  });
  const { error } = performed;
  const spent = { used: usedOf(artifact, row.callsCounted), callsCounted };
  if (performed.isStepOver) {
    const how = { countAttempt: false, suspect: false, notBefore: null, waitingFor: null };
    if (await Row.requeue(services.db, row, { ...how, ...spent })) await Send.send(services, row);
    return;
  }
  if (error === undefined || !error.retry) {
    // Only a document of several calls has any steps; a final failure is thrown.
    const tidy = () => (Record.hasSteps(artifact) ? Steps.remove(services.bucket, log, row) : undefined);
    await conclude(services, log, row, artifact).finally(tidy);
    return;
  }
  const artifactRel = await Record.recordAttempt(services, log, artifact);
  const { requeueDelaysMs, breakerRetryMs } = services.times;
  const failed = { error, thrown: performed.error };
  const verdict = Budget.afterFailure(row, failed, { isolates: false, requeueDelaysMs });
  if (verdict.kind === "wait") {
    await Breaker.trip(services.db, breakerRetryMs);
    return waitForModel(work, { suspect: verdict.suspect, ...spent });
  }
  // Pollers see the failure, and the same call may be sent again.
  if (verdict.kind !== "again") {
    await Row.release(services.db, row, error, { artifactRel, ...spent });
    return;
  }
  const { counted: countAttempt, suspect, delayMs } = verdict;
  const notBefore = new Date(Date.now() + delayMs);
  if (await Row.requeue(services.db, row, { countAttempt, suspect, notBefore, waitingFor: null, ...spent }))
    await Send.send(services, row, delayMs);
}

/** Reads the picture and asks the model about it, which takes most of the time. It does not change the extract. */
async function ask(
  { services, log, row, input, job }: Work,
  signal: AbortSignal,
): Promise<{ performed: Performed; document: Document.Document; stored: number } | { unasked: AppError }> {
  const task = Task.get(row.taskId);
  let document: Document.Document | undefined;
  try {
    const bytes = await Source.reload(services.bucket, log, input);
    document = bytes && (await Document.open(bytes, { decoder: services.decoder, signal }));
  } catch (thrown) {
    const error = from(thrown);
    if (error.retry) throw error;
    return { unasked: error };
  }
  // A schema that passed the lint of an earlier version may not pass this one's.
  const overridden = task && (await override(task, input.debug ?? undefined).catch(() => undefined));
  if (overridden === undefined || document === undefined) {
    const what =
      overridden === undefined ? "the task of this extract is gone" : "the picture of this extract is gone";
    return { unasked: new AppError("internal", what) };
  }
  let pages: number[];
  try {
    pages = chosen(document, input.pages, documents.queuedPages);
  } catch (thrown) {
    return { unasked: from(thrown) };
  }
  const steps = await openSteps(services.bucket, log, row, stepLimits(services.times, job));
  const performed = await read(services.model, {
    ...overridden,
    pages,
    debug: input.debug ?? undefined,
    look: input.look,
    split: input.split,
    document,
    requestId: row.requestId,
    createdAt: row.createdAt,
    deadline: job.deadline,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, job.deadline - Date.now()))]),
    steps,
    log,
  });
  return { performed, document, stored: steps.stored };
}

/** Waits for the model server: without a message, and without an attempt. The successful probe sends the message. */
async function waitForModel(
  { services, log, row }: Work,
  { suspect, used, callsCounted }: { suspect: boolean; used: Used | undefined; callsCounted?: number },
): Promise<void> {
  await Row.requeue(services.db, row, {
    countAttempt: false,
    suspect,
    notBefore: null,
    waitingFor: "model_server",
    used,
    callsCounted,
  });
  await Probe.ensure(services, log);
}
