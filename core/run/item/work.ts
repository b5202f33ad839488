import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import { AppError, from } from "#core/error";
import type * as Image from "#core/image/image";
import * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import type { Performed } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import { type Artifact, askedNobody } from "#core/reading/schema";
import { usedOf } from "#core/reading/used";
import * as Stalled from "#core/run/control/stalled";
import * as Progress from "#core/run/dispatch/progress";
import * as Window from "#core/run/dispatch/window";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import { requestIdOf } from "#core/run/serialize";
import type { RunServices } from "#core/run/services";
import * as Task from "#core/task/task";
import * as Vision from "#core/vision/vision";
import { ask } from "./ask.ts";
import * as Claim from "./claim.ts";
import * as Ending from "./ending.ts";
import * as Picture from "./picture.ts";
import * as Suspect from "./suspect.ts";

/** What an item may cost (docs/architecture.md, "Where the times come from"). */
const maxAttempts = 3;
const maxClaims = 5;
/** A mark of a lone call that is the third ends the item. */
const maxSuspects = 3;

/** The message and how long there is for it. */
export interface Job extends Lease.Held {
  /** Epoch milliseconds at which the model call is cut off. */
  deadline: number;
  receiveCount: number;
  /** Settled when the message stays invisible until the lease has ended, or for as long as the queue itself says. */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now. */
  hold(ms: number): Promise<void>;
}

/** `done`: the message has done its duty; `again`: it must come back when its visibility ends. */
type Outcome = "done" | "again";

/**
 * Works on an item. It ended, waits for the model server, has a new message, or is somebody else's: `done`. The
 * weather, of the model server and of the storage, costs the item nothing.
 * @throws AppError `storage_unavailable`, with the message held back a little longer at every receive.
 */
export async function work(
  services: RunServices,
  message: Window.ItemMessage,
  job: Job,
  log: Log,
): Promise<Outcome> {
  let claimed: Claim.Claimed | undefined;
  const early = Picture.begin(services, message, log);
  try {
    claimed = await Claim.claim(services.db, message, job.leaseUntil);
    if (claimed === undefined) return "done";
    // Lines of an item are found by its run, and by the id under which it is read.
    const { run: runRow } = claimed;
    const lines = log.child({ run_id: runRow.runId, request_id: requestIdOf(runRow, message.index) });
    if (claimed.item === undefined) return await notOurs(services, message, claimed, job, lines);
    // The one before it in this group never came up: what was sent with that is lost, too.
    if (message.again) await Stalled.anew(services, runRow, lines);
    return await attempt(services, { ...claimed, item: claimed.item }, message, early, job, lines);
  } catch (thrown) {
    const error = from(thrown);
    if (error.code === "storage_unavailable") await waitForStorage(services, claimed?.item, job, log);
    throw error;
  }
}

/** Why a message found nothing to claim, and what is to be done about it. */
async function notOurs(
  services: RunServices,
  message: Window.ItemMessage,
  { run: runRow, found }: Claim.Claimed,
  job: Job,
  log: Log,
): Promise<Outcome> {
  const current =
    found !== undefined &&
    runRow.state === "running" &&
    runRow.epoch === message.epoch &&
    found.sendSeq === message.seq;
  const now = Date.now();
  if (current && found.status === "queued") {
    // Too early: it comes back when its pause is over.
    await job.hold((found.notBefore?.getTime() ?? now) - now);
    return "again";
  }
  // Somebody holds it: this very message, delivered twice. In another slot it is a copy that nobody needs.
  if (current && found.status === "running" && found.slot === message.slot) {
    await job.hold((found.leaseUntil?.getTime() ?? now) - now + 1_000);
    return "again";
  }
  // Ended, or of an older epoch or number. Whoever ended it may have died before its duties.
  const outlook = await Progress.read(services.db, runRow.runUid);
  if (outlook !== undefined) await Progress.duties(services, outlook, log, { again: true });
  return "done";
}

/** Storage is away: the claim is given back if that is possible, and the message waits. */
async function waitForStorage(
  services: RunServices,
  claimed: ItemRow | undefined,
  job: Job,
  log: Log,
): Promise<void> {
  const { weatherHoldMs, weatherHoldMostMs } = services.times;
  try {
    if (claimed !== undefined) await Ending.unclaim(services.db, claimed);
    await job.hold(Math.min(weatherHoldMostMs, weatherHoldMs * 2 ** Math.min(10, job.receiveCount - 1)));
  } catch (thrown) {
    // The lease and the visibility that the claim began with hold then.
    log.warn("item_not_released", { code: from(thrown).code });
  }
}

async function attempt(
  services: RunServices,
  { run: runRow, item: row, breaker, aloneUntil }: Claim.Claimed & { item: ItemRow },
  message: Window.ItemMessage,
  early: Promise<Uint8Array | undefined> | undefined,
  job: Job,
  log: Log,
): Promise<Outcome> {
  // Were it to come up again meanwhile, a second worker would find a lease that holds; but it must not for long.
  await job.held;
  const before = await Ending.storedBefore(services, log, runRow, row);
  if (before !== undefined) {
    await Progress.duties(services, before, log, { again: true });
    return "done";
  }
  let kept = row.sourceKind === "run";
  const fails = (error: AppError) =>
    end(services, log, runRow, row, { ...failure(services, runRow, row, error, job), kept });
  // A picture that kills its worker every time must not do so for ever.
  if (row.claims > maxClaims)
    return fails(new AppError("internal", "the work on this item was interrupted too often"));
  if (breaker.kind !== "closed") return weather(services, runRow, row, message, false, undefined, log);
  if (aloneUntil !== undefined) return giveWay(services, row, job);
  const task = Task.get(runRow.taskId);
  if (task === undefined) return fails(new AppError("internal", "the task of this run is gone"));

  let alone = false;
  const asked = await Lease.during(
    job,
    (until) => Claim.renew(services.db, row, until, { alone }),
    log,
    (signal) =>
      ask(services, { run: runRow, row, task, early: Picture.of(row, message) ? early : undefined }, job, {
        signal,
        log,
        onAlone: (is) => {
          alone = is;
        },
      }),
  );
  // Somebody else has it, and ends it.
  if (asked === undefined) return "done";
  if (asked.kind === "crowded") return giveWay(services, row, job);
  kept ||= asked.kept;
  if (asked.kind === "unreadable") {
    // A fault of ours: the decoder's process could not be started.
    const mayPass = Picture.mayPass(asked.error) || asked.error.code === "internal";
    if (mayPass && row.attempts + 1 < maxAttempts)
      return later(services, runRow, row, message, { spent: undefined, counted: true }, log);
    return fails(asked.error);
  }
  const { performed, image } = asked;
  const artifact = composed(services, runRow, row, performed, image, job, kept);
  const { error } = performed;
  if (error === undefined || !error.retry) return end(services, log, runRow, row, artifact);
  return afterFailure(services, runRow, row, message, { performed, error, artifact }, log);
}

/**
 * A suspect has the model server for itself, of all runs: the message comes back, as if it had not been taken. Soon at first,
 * and then not so often that the receives of a wait, or of two, use up those after which it is a dead letter.
 */
async function giveWay(services: RunServices, row: ItemRow, job: Job): Promise<Outcome> {
  await Ending.unclaim(services.db, row);
  await job.hold(services.times.weatherHoldMs * 2 ** Math.min(2, job.receiveCount - 1));
  return "again";
}

/** What becomes of a failure that may be retried: the weather costs nothing, the rest has a budget. */
async function afterFailure(
  services: RunServices,
  runRow: RunRow,
  row: ItemRow,
  message: Window.ItemMessage,
  failed: { performed: Performed; error: AppError; artifact: Artifact },
  log: Log,
): Promise<Outcome> {
  const { performed, error, artifact } = failed;
  const fault = performed.error instanceof Vision.VisionError ? performed.error.fault : undefined;
  const suspect = fault !== undefined && Vision.suspect(fault);
  const verdict = fault === undefined ? "item" : Vision.classify(fault);
  const spent = usedOf(artifact);
  const lone = row.suspects >= Window.loneFrom;
  const final = () => end(services, log, runRow, row, asEnding(runRow, row, artifact));
  if (suspect && lone && row.suspects + 1 >= maxSuspects) {
    // A single extract was there as well, and it may have been that one: no mark, but it costs an attempt.
    if (row.attempts + 1 < maxAttempts && (await Suspect.beside(services.db))) {
      await Record.recordAttempt(services, log, artifact);
      return later(services, runRow, row, message, { spent, counted: true }, log);
    }
    return end(services, log, runRow, row, asCrash(asEnding(runRow, row, artifact)));
  }
  // Another attempt would ask the very same questions again.
  if (verdict === "refused" || error.code === "invalid_model_output") return final();
  const away = error.code === "inference_unavailable";
  if (!suspect && !away && row.attempts + 1 >= maxAttempts) return final();
  await Record.recordAttempt(services, log, artifact);
  if (away && verdict === "outage") return weather(services, runRow, row, message, suspect, spent, log);
  if (suspect) return later(services, runRow, row, message, { spent, suspect: true }, log);
  // The model server asked for a pause: nobody's fault.
  const delayMs = away ? (error.retryAfterS ?? 5) * 1000 : undefined;
  return later(services, runRow, row, message, { spent, counted: !away, delayMs }, log);
}

/** The item goes back and its run waits for the model server: no message, no attempt. */
async function weather(
  services: RunServices,
  runRow: RunRow,
  row: ItemRow,
  message: Window.ItemMessage,
  suspect: boolean,
  spent: Ending.Requeue["spent"],
  log: Log,
): Promise<Outcome> {
  await Breaker.trip(services.db, services.times.breakerRetryMs);
  const { outlook } = await Ending.requeue(services.db, runRow, row, {
    countAttempt: false,
    suspect,
    notBefore: null,
    spent,
    pauseEpoch: message.epoch,
  });
  log.info("run_waiting", { run_id: runRow.runId, waiting_for: "model_server" });
  await Probe.ensure(services, log);
  if (outlook !== undefined) await Progress.duties(services, outlook, log);
  return "done";
}

/** A new message at the tail of the same slot, to be taken up after a pause; a suspect leaves the window instead. */
async function later(
  services: RunServices,
  runRow: RunRow,
  row: ItemRow,
  message: Window.ItemMessage,
  why: {
    spent: Ending.Requeue["spent"];
    counted?: boolean;
    suspect?: boolean;
    delayMs?: number | undefined;
  },
  log: Log,
): Promise<Outcome> {
  const { requeueDelaysMs } = services.times;
  // A mark needs no pause: the server is there, and the picture's next call says more.
  const pause = why.suspect ? 0 : (why.delayMs ?? requeueDelaysMs[Math.min(row.attempts, 2)] ?? 0);
  const { item: now, outlook } = await Ending.requeue(services.db, runRow, row, {
    countAttempt: why.counted === true,
    suspect: why.suspect === true,
    notBefore: pause === 0 ? null : new Date(Date.now() + pause),
    spent: why.spent,
  });
  if (outlook === undefined) return "done";
  const goesOn = now?.status === "queued" && outlook.run.epoch === message.epoch;
  if (goesOn && now.suspects < Window.loneFrom) {
    const next = { ...message, seq: now.sendSeq };
    const sent = await Window.send(services, [next], log);
    await Window.note(services.db, outlook.run, sent);
    if (sent.length > 0) return "done";
  }
  await Progress.duties(services, outlook, log, { again: true });
  return "done";
}

async function end(
  services: RunServices,
  log: Log,
  runRow: RunRow,
  row: ItemRow,
  artifact: Artifact,
): Promise<Outcome> {
  const outlook = await Ending.conclude(services, log, runRow, row, artifact);
  if (outlook !== undefined) await Progress.duties(services, outlook, log);
  return "done";
}

/** The artifact of what was performed; where it may be tried again it belongs beside the item's own key. */
function composed(
  services: RunServices,
  runRow: RunRow,
  row: ItemRow,
  performed: Performed,
  image: Image.Inspected,
  job: Pick<Job, "startedAt">,
  kept: boolean,
): Artifact {
  const source = row.sourceKind;
  return {
    ...Record.compose(identity(runRow, row), performed, {
      input: Record.inputOf(image, source, row.declaredMimeType),
      principal: { key_id: runRow.keyId, role: runRow.principalRole },
      codeVersion: services.version,
      totalMs: Date.now() - job.startedAt,
    }),
    run: { run_id: runRow.runId, run_uid: runRow.runUid, index: row.index },
    kept,
  };
}

const identity = (runRow: RunRow, row: ItemRow) => ({
  keyId: runRow.keyId,
  requestId: requestIdOf(runRow, row.index),
  taskId: runRow.taskId,
  createdAt: runRow.createdAt,
  token: row.token,
  payloadHash: Ending.payloadOf(runRow, row),
});

/** An item ends even with an error that a single call could repeat. */
const asEnding = (runRow: RunRow, row: ItemRow, artifact: Artifact): Artifact => ({
  ...artifact,
  artifact_rel: Ending.artifactKey(runRow, row),
});

/** What took the model server down has failed, and is not waiting for it, also where it did not come back at once. */
const asCrash = (artifact: Artifact): Artifact => ({
  ...artifact,
  error: {
    code: "inference_failed",
    message: "the model server's connection was lost at this picture every time",
    details: { reason: "connection_lost" },
  },
});

/** The artifact of an item that ended without the model being asked. */
export function failure(
  services: { version: string },
  runRow: RunRow,
  row: ItemRow,
  error: AppError,
  job: Pick<Job, "startedAt">,
): Artifact {
  const performed: Performed = {
    error,
    answer: askedNobody,
    timingsMs: { image: 0, inference: 0, validate: 0 },
    record: { sent: null, request: null, raw_model_text: null, finish_reason: null, attempts: [] },
  };
  const artifact = Record.compose(identity(runRow, row), performed, {
    input: null,
    principal: { key_id: runRow.keyId, role: runRow.principalRole },
    codeVersion: services.version,
    totalMs: Date.now() - job.startedAt,
  });
  return {
    ...asEnding(runRow, row, artifact),
    run: { run_id: runRow.runId, run_uid: runRow.runUid, index: row.index },
    // What came with the run lies where it is kept, whatever became of the item.
    kept: row.sourceKind === "run",
  };
}
