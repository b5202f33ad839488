import { setTimeout as sleep } from "node:timers/promises";
import * as Breaker from "#core/breaker/breaker";
import { chosen } from "#core/document/chosen";
import * as Document from "#core/document/document";
import { AppError, type Code, invalidRequest } from "#core/error";
import * as Id from "#core/id";
import * as Idempotency from "#core/idempotency/idempotency";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import { hashOf } from "#core/payload-hash";
import * as Record from "#core/reading/record";
import type { Extract, ExtractRequest } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import * as Steps from "#core/reading/steps/steps";
import { openSteps } from "#core/reading/stored-call";
import * as Source from "#core/source/source";
import { read } from "#core/split/read";
import { override } from "#core/task/override";
import type { Overridden } from "#core/task/own-schema";
import * as Task from "#core/task/task";
import * as Vision from "#core/vision/vision";
import { documents } from "#spec/limits";
import * as Answer from "./answer.ts";
import { isAway, noted } from "./away.ts";
import * as Claim from "./claim.ts";
import { conclude, storedBefore } from "./conclude.ts";
import { permit } from "./debug.ts";
import * as Password from "./password.ts";
import * as Row from "./row.ts";
import * as Unanswered from "./unanswered.ts";

/** How long the caller wants to wait (`Prefer`): up to the platform's limit, or for this many milliseconds. */
export interface Patience {
  /** Undefined: until shortly before the platform's limit. 0: do not wait. */
  waitMs: number | undefined;
  /** `wait=0`: answer 202 only if the model server is there to work on it. */
  refuseWhenAway: boolean;
}

/** The fields of `POST /v1/extract`, and the picture's bytes if they did not come as base64. */
export type Given = ExtractRequest & Pick<Source.Given, "image">;

/** The caller, its ids, and the deadline. */
interface Caller {
  principal: Principal;
  /** `X-Request-ID`: the extract's id if the body has none, the caller chose it, and it is free. */
  headerId: { value: string; given: boolean };
  idempotencyKey: string | undefined;
  patience: Patience;
  /** Epoch milliseconds by which the call must answer. */
  deadline: number;
  log: Log;
}

/** After this many calls were cut off within the window, the next one is handed over before the model is asked. */
const handoversBeforeGivingUp = 3;

/**
 * Reads one picture. The same id and payload return the same answer without a second model call; `running` while
 * another call or worker has the work. A failure that may be retried, and work whose lease ended, is taken up again.
 * Work that cannot end in time, or has no model server, is handed to the queue and is also `running`.
 * Order of writes: row (claim) → artifact, unless one exists → row (ending). The artifact at the extract's own key
 * decides, so a crash between two steps loses nothing and asks the model at most once per claim.
 * @throws AppError with a code of docs/errors.md; after a failed extraction `details.artifact_rel` says where it is
 *   recorded.
 */
export async function extract(services: Services, input: Given, caller: Caller): Promise<Answer.Outcome> {
  const startedAt = Date.now();
  const outcome = await begin(services, input, caller, startedAt);
  const { waitMs = 0 } = caller.patience;
  if (outcome.kind === "done" || outcome.away || waitMs === 0) return outcome;
  return await ended(services, caller, outcome, Math.min(caller.deadline, startedAt + waitMs));
}

/** Waits for the end of the work as long as the caller wants; otherwise returns the last outcome. */
async function ended(
  services: Services,
  { principal, log }: Caller,
  outcome: Answer.Outcome & { kind: "running" },
  until: number,
): Promise<Answer.Outcome> {
  const pauseMs = services.times.waitPollMs;
  while (Date.now() < until) {
    await sleep(Math.max(1, Math.min(pauseMs, until - Date.now())));
    const row = await Row.find(services.db, principal.keyId, outcome.running.request_id);
    if (row === undefined) return outcome;
    if (row.status === "succeeded" || row.status === "failed")
      return { kind: "done", answer: await replay(services, log, row), replayed: true };
    if (row.waitingFor !== null) return { ...outcome, away: true };
    if (row.status === "retryable") {
      const { code, message } = Answer.fromRow(row).error ?? Row.interrupted();
      throw new AppError(code, message, { details: { ...row.errorDetails, artifact_rel: row.artifactRel } });
    }
  }
  return outcome;
}

async function begin(
  services: Services,
  input: Given,
  caller: Caller,
  startedAt: number,
): Promise<Answer.Outcome> {
  const task = await checkRequest(services, input, caller);
  const overridden = await override(task, input.debug);
  const from = { keyId: caller.principal.keyId, deadline: caller.deadline };
  let source: Source.Source;
  try {
    source = await Source.load(services, caller.log, input, from);
  } catch (thrown) {
    // An answer stays readable after its upload or URL is gone.
    const known = await answered(services, input, caller, payloadOf(task, input, undefined));
    if (known === undefined) throw thrown;
    return known;
  }
  const document = await open(services, input, source.bytes, caller.deadline);
  const payloadHash = payloadOf(task, input, document);
  const most = caller.patience.waitMs === 0 ? documents.queuedPages : documents.callPages;
  const pages = chosen(document, input.pages, most);

  const { claim, outlook } = await claimId(services, input, caller, { taskId: task.id, payloadHash });
  const { row } = claim;
  const log = caller.log.child({ extract_id: row.requestId });
  if (claim.kind === "running") return { kind: "running", running: Answer.running(row.requestId) };
  if (claim.kind === "ended")
    return { kind: "done", answer: await replay(services, log, row), replayed: true };

  const stored = await storedBefore(services, log, row);
  if (stored !== undefined) return { kind: "done", answer: Record.answerOf(stored), replayed: true };

  const work: Work = {
    services,
    caller,
    log,
    row,
    ...overridden,
    debug: input.debug,
    wanted: input.pages,
    look: input.look,
    hasPassword: input.password !== undefined,
    split: input.split,
    document,
    pages,
    source,
    startedAt,
  };
  return askOrHandOver(work, outlook);
}

/** Checks a request before its picture is read. @throws AppError. */
async function checkRequest(services: Services, input: Given, caller: Caller): Promise<Task.Task> {
  if (input.request_id !== undefined && !Id.isRequestId(input.request_id)) {
    throw new AppError(
      "invalid_request_id",
      "request_id: 1 to 128 letters, digits, '_', '.' and '-', beginning with a letter or digit",
      { param: "request_id" },
    );
  }
  const task = Task.get(input.task_id);
  if (task === undefined) {
    const { unknownTask } = await import("#core/task/unknown");
    throw invalidRequest([{ path: "task_id", message: unknownTask(input.task_id, Task.ids()) }]);
  }
  permit(input, services.debugMode, caller.principal);
  Password.checkWaits(input, caller.patience);
  return task;
}

/** @throws AppError about the field that the picture came in. */
async function open(
  { decoder }: Pick<Services, "decoder">,
  input: Given,
  bytes: Uint8Array,
  deadline: number,
): Promise<Document.Document> {
  try {
    const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
    return await Document.open(bytes, { decoder, signal, password: input.password });
  } catch (thrown) {
    if (Password.isWrong(thrown)) throw thrown.about("password");
    const fields = ["image_base64", "image_ref", "image_url"] as const;
    const field = fields.find((name) => input[name] !== undefined);
    throw thrown instanceof AppError && !thrown.retry && field !== undefined ? thrown.about(field) : thrown;
  }
}

/** Asks the model now, or hands over if no answer can come in time. */
async function askOrHandOver(work: Work, outlook: Claim.Outlook): Promise<Answer.Outcome> {
  const { services, log, caller } = work;
  const away = await isAway(services, log, outlook);
  const { waitMs, refuseWhenAway } = caller.patience;
  if (away !== undefined && refuseWhenAway) return Unanswered.giveUp(work, away);
  if (away !== undefined)
    return Unanswered.toQueue(work, { cutOff: false, waitingFor: "model_server" }, away);
  const isCutOff = waitMs === undefined && outlook.recentHandovers >= handoversBeforeGivingUp;
  if (waitMs === 0 || (isCutOff && !work.hasPassword))
    return Unanswered.toQueue(work, { cutOff: false, waitingFor: null }, undefined);
  return ask(work);
}

/**
 * sha256 of what determines the answer. A named picture counts by its name: an upload is pinned to the version that
 * was read first, and a repeated URL is the same call, whatever it serves now. The password of a PDF does not count: each
 * that opens the file gives the same pages, and not even its hash is stored.
 */
function payloadOf(task: Task.Task, input: Given, document: Document.Document | undefined): string {
  const { image_ref, image_url, pages, debug } = input;
  const named = image_ref !== undefined || image_url !== undefined;
  return hashOf({
    task_id: task.id,
    image_ref,
    image_url,
    image_sha256: named ? undefined : document?.sha256,
    pages,
    debug,
    // Calls without it have the hash that they had before it could be given.
    ...(input.look === undefined ? {} : { look: input.look }),
    ...(input.split === undefined ? {} : { split: input.split }),
  });
}

/** The stored answer of an id that the caller chose and that has ended with this payload. */
async function answered(
  services: Services,
  input: Given,
  caller: Caller,
  payloadHash: string,
): Promise<Answer.Outcome | undefined> {
  if (input.request_id === undefined) return undefined;
  const row = await Row.find(services.db, caller.principal.keyId, input.request_id);
  if (row === undefined || row.payloadHash !== payloadHash || row.status !== "succeeded") return undefined;
  return { kind: "done", answer: await replay(services, caller.log, row), replayed: true };
}

/** The work of one call after its claim. */
interface Work extends Unanswered.Work {
  caller: Caller;
  task: Task.Task;
  validate: Overridden["validate"];
  pages: number[];
}

/** Asks the model within the caller's time, and hands over to the queue if that is too short. */
async function ask(work: Work): Promise<Answer.Outcome> {
  const { services, caller, log, row, task, validate, debug, look, split, document } = work;
  const { waitMs } = caller.patience;
  const deadline =
    waitMs === undefined ? caller.deadline : Math.min(caller.deadline, work.startedAt + waitMs);
  const steps = await openSteps(services.bucket, log, row, undefined);
  work.stored = () => steps.stored;
  const performed = await read(services.model, {
    task,
    validate,
    debug,
    look,
    split,
    document,
    pages: work.pages,
    requestId: row.requestId,
    createdAt: row.createdAt,
    deadline,
    signal: AbortSignal.timeout(Math.max(1, deadline - Date.now())),
    handsOver: !work.hasPassword,
    steps,
    log,
  });
  const { error } = performed;
  const isOutage =
    error instanceof Vision.VisionError &&
    error.code === "inference_unavailable" &&
    error.fault !== undefined &&
    Vision.classify(error.fault) === "outage";
  if (isOutage) await noted(log, Breaker.trip(services.db, services.times.breakerRetryMs));
  if (error?.code === "inference_unavailable" || error?.code === "inference_timeout")
    return Unanswered.toQueue(
      work,
      {
        cutOff: error.code === "inference_timeout" && waitMs === undefined,
        waitingFor: isOutage ? "model_server" : null,
      },
      { ...performed, error },
    );
  const artifact = Unanswered.composed(work, performed);
  if (error?.retry) return Unanswered.fail(work, artifact, error);
  // Only a document of several calls has any steps; a final failure is thrown.
  const tidy = () => (Record.hasSteps(artifact) ? Steps.remove(services.bucket, log, row) : undefined);
  const answer = await conclude(services, log, row, artifact).finally(tidy);
  return { kind: "done", answer, replayed: false };
}

/** Finds the id of this call (body, Idempotency-Key, header, or new), and claims it. */
async function claimId(
  services: Services,
  input: Given,
  caller: Caller,
  what: { taskId: string; payloadHash: string },
): Promise<{ claim: Claim.Claim; outlook: Claim.Outlook }> {
  const { db, times } = services;
  const tryTo = (requestId: string, mustBeNew: boolean) =>
    Claim.claim(
      db,
      {
        keyId: caller.principal.keyId,
        requestId,
        ...what,
        leaseUntil: new Date(caller.deadline + times.httpReserveMs + times.leaseGraceMs),
      },
      { mustBeNew, handoverWindowMs: times.handoverWindowMs, limits: caller.principal.limits },
    );
  const named = async (requestId: string) => {
    const { claim, outlook } = await tryTo(requestId, false);
    if (claim === undefined) throw new AppError("internal", "the claim had no answer");
    return { claim, outlook };
  };
  if (caller.idempotencyKey !== undefined) {
    const requestId = await Idempotency.resolve(db, {
      keyId: caller.principal.keyId,
      idempotencyKey: caller.idempotencyKey,
      proposedId: input.request_id ?? Id.create(),
      payloadHash: hashOf({ ...what, request_id: input.request_id ?? null }),
      ttlMs: times.idempotencyMs,
    });
    return named(requestId);
  }
  if (input.request_id !== undefined) return named(input.request_id);
  if (!caller.headerId.given) return named(caller.headerId.value);
  const { claim, outlook } = await tryTo(caller.headerId.value, true);
  // Proxies may repeat headers. Such a call gets a new id, so that it never gets an old answer by accident.
  return claim === undefined ? named(Id.create()) : { claim, outlook };
}

/** The answer of an ended id. A final failure is returned as it was the first time. */
async function replay(services: Services, log: Log, row: Row.Row): Promise<Extract> {
  if (row.status === "failed") {
    throw new AppError(row.errorCode as Code, row.errorMessage ?? "", {
      details: { ...row.errorDetails, artifact_rel: row.artifactRel },
      retry: false,
    });
  }
  const artifact = await Answer.storedOf(services, log, row);
  if (artifact === undefined) throw Answer.gone();
  return Record.answerOf(artifact);
}
