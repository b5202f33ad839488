import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import * as Bucket from "#core/bucket/bucket";
import { AppError, from } from "#core/error";
import * as Image from "#core/image/image";
import * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import { type Performed, perform } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import type { Services } from "#core/reading/services";
import { usedOf } from "#core/reading/used";
import type { StoredInput } from "#core/source/source";
import * as Source from "#core/source/source";
import { override } from "#core/task/override";
import * as Task from "#core/task/task";
import type { Used } from "#core/usage/usage";
import * as Vision from "#core/vision/vision";
import * as Claim from "./claim.ts";
import { conclude, storedBefore } from "./conclude.ts";
import * as Send from "./send.ts";

/** What an extract may cost (docs/architecture.md, "Where the times come from"). */
const maxAttempts = 3;
const maxClaims = 5;
const maxSuspects = 3;

/** How long the work is held, and the epoch milliseconds at which the model call is cut off. */
type Time = Lease.Held & {
  deadline: number;
  receiveCount: number;
  /** Keeps the message invisible for this long from now. */
  hold(ms: number): Promise<void>;
};

/**
 * Works on the queued extract whose turn it is, which need not be the message's. Returning means that the message has done its duty: the extract ended, waits for the
 * model server, has a new message, or is somebody else's. The model server's weather costs it nothing.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function work(
  services: Services,
  message: Send.Message,
  time: Time,
  called: Log,
): Promise<void> {
  const { row, outlook } = await Claim.claimQueued(
    services.db,
    { keyId: message.key_id, requestId: message.request_id },
    time.leaseUntil,
  );
  if (row === undefined || row.input === null) return;
  const log = called.child({ extract_id: row.requestId });
  const { input } = row;
  if (outlook.breaker.kind !== "closed" && row.pendingArtifact === null)
    return wait(services, log, row, false);
  try {
    if ((await storedBefore(services, log, row)) === undefined) {
      // A picture that kills its worker every time must not do so for ever.
      if (row.claims > maxClaims)
        await Claim.release(
          services.db,
          row,
          new AppError("internal", "the work on this extract was interrupted too often"),
        );
      else await attempt(services, row, input, time, log);
    }
  } catch (thrown) {
    const error = from(thrown);
    if (error.code === "storage_unavailable") await waitForStorage(services, row, time, log);
    // A final failure is an ending like another; it is stored.
    if (error.retry) throw error;
  }
  const now = await Claim.find(services.db, row.keyId, row.requestId);
  if (now === undefined || now.status === "queued" || now.status === "running") return;
  await discardInput(services, log, now);
}

/** Storage is away, which costs the extract nothing: the claim is given back if that is possible, and the message waits. */
async function waitForStorage(services: Services, row: Claim.Row, time: Time, log: Log): Promise<void> {
  const { weatherHoldMs, weatherHoldMostMs } = services.times;
  try {
    if (!(await Claim.unclaim(services.db, row))) return;
    await time.hold(Math.min(weatherHoldMostMs, weatherHoldMs * 2 ** Math.min(10, time.receiveCount - 1)));
  } catch (thrown) {
    // The lease and the visibility that the claim began with hold then.
    log.warn("extract_not_released", { code: from(thrown).code });
  }
}

/** Deletes the copy of an ended extract's picture. */
export async function discardInput(
  services: Pick<Services, "db" | "bucket">,
  log: Log,
  row: Claim.Row,
): Promise<void> {
  if (row.input === null) return;
  // The object first: after a crash in between reconcile finds the row again. It is this hand-over's own copy, so
  // a later one of the same id is not touched; nor is its row, which is no longer as it was.
  if (row.input.temporary) await Bucket.remove(services.bucket, log, row.input.objectKey);
  await Claim.forgetInput(services.db, row);
}

async function attempt(
  services: Services,
  row: Claim.Row,
  input: StoredInput,
  time: Time,
  log: Log,
): Promise<void> {
  const asked = await Lease.during(
    time,
    (until) => Claim.renew(services.db, row, until),
    log,
    (signal) => ask(services, row, input, time, signal, log),
  );
  // Somebody else has it, and ends it.
  if (asked === undefined) return;
  if ("unasked" in asked) {
    await Claim.release(services.db, row, asked.unasked);
    return;
  }
  const { performed, image } = asked;
  const artifact = Record.compose(row, performed, {
    input: Record.inputOf(image, input.source, input.declaredMimeType),
    principal: { key_id: row.keyId, role: input.principalRole },
    codeVersion: services.version,
    totalMs: Date.now() - time.startedAt,
  });
  const { error } = performed;
  if (error === undefined || !error.retry) {
    await conclude(services, log, row, artifact);
    return;
  }
  const artifactRel = await Record.recordAttempt(services, log, artifact);
  await afterFailure(services, log, row, performed, error, { artifactRel, used: usedOf(artifact) });
}

/** Reads the picture and asks the model about it: what takes long. It changes nothing of the extract itself. */
async function ask(
  services: Services,
  row: Claim.Row,
  input: StoredInput,
  time: Time,
  signal: AbortSignal,
  log: Log,
): Promise<{ performed: Performed; image: Image.Inspected } | { unasked: AppError }> {
  const task = Task.get(row.taskId);
  let image: Image.Inspected | undefined;
  try {
    const bytes = await Source.reload(services.bucket, log, input);
    image = bytes && (await Image.inspect(bytes, { decoder: services.decoder, signal }));
  } catch (thrown) {
    const error = from(thrown);
    if (error.retry) throw error;
    return { unasked: error };
  }
  // What passed the lint then may not pass that of a later version.
  const overridden = task && (await override(task, input.debug ?? undefined).catch(() => undefined));
  if (overridden === undefined || image === undefined) {
    const what =
      overridden === undefined ? "the task of this extract is gone" : "the picture of this extract is gone";
    return { unasked: new AppError("internal", what) };
  }
  const performed = await perform(services.model, {
    ...overridden,
    debug: input.debug ?? undefined,
    image,
    requestId: row.requestId,
    createdAt: row.createdAt,
    deadline: time.deadline,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, time.deadline - Date.now()))]),
    log,
  });
  return { performed, image };
}

/** What becomes of a failure that may be retried: the weather costs nothing, the rest has a budget. */
async function afterFailure(
  services: Services,
  log: Log,
  row: Claim.Row,
  performed: Performed,
  error: AppError,
  record: { artifactRel: string | null; used: Used },
): Promise<void> {
  const fault = performed.error instanceof Vision.VisionError ? performed.error.fault : undefined;
  const suspect = fault !== undefined && Vision.suspect(fault);
  const verdict = fault === undefined ? "item" : Vision.classify(fault);
  const spent =
    row.attempts + 1 >= maxAttempts ||
    row.claims >= maxClaims ||
    (suspect && row.suspects + 1 >= maxSuspects);
  if (error.code === "inference_unavailable" && verdict === "outage" && !(suspect && spent)) {
    await Breaker.trip(services.db, services.times.breakerRetryMs);
    return wait(services, log, row, suspect, record.used);
  }
  const free = error.code === "inference_unavailable" && verdict === "overload";
  // What the model server refuses now it refuses every time, and what the model could not say in any of the ways it is
  // asked it will not say when it is asked the same again.
  // The failure is then what a poll shows, and the same call may still be sent again.
  if ((spent && !free) || verdict === "refused" || error.code === "invalid_model_output") {
    await Claim.release(services.db, row, error, record);
    return;
  }
  const delayMs = free
    ? (error.retryAfterS ?? 5) * 1000
    : services.times.requeueDelaysMs[Math.min(row.attempts, 2)];
  const notBefore = new Date(Date.now() + (delayMs ?? 0));
  const how = { countAttempt: !free, suspect, notBefore, waitingFor: null, used: record.used };
  if (await Claim.requeue(services.db, row, how)) {
    await Send.send(services, row, delayMs);
  }
}

/** Waits for the model server: no message, no attempt; the probe's success sends it on its way. */
async function wait(
  services: Services,
  log: Log,
  row: Claim.Row,
  suspect: boolean,
  used?: Used,
): Promise<void> {
  await Claim.requeue(services.db, row, {
    countAttempt: false,
    suspect,
    notBefore: null,
    waitingFor: "model_server",
    used,
  });
  await Probe.ensure(services, log);
}
