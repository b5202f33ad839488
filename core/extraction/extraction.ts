import { createHash } from "node:crypto";
import * as Artifacts from "#core/artifact/artifact";
import type { Bucket } from "#core/artifact/bucket";
import type * as Config from "#core/config";
import type { Db } from "#core/db/client";
import { AppError, type Code, from, invalidRequest } from "#core/error";
import * as Id from "#core/id";
import * as Image from "#core/image/image";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import * as Task from "#core/task/task";
import { sizes, type Times } from "#infra/limits";
import * as Claims from "./claim.ts";
import { type Performed, perform } from "./perform.ts";
import type { Artifact, Extract, ExtractRequest, Running } from "./schema.ts";
import { decode } from "./source.ts";

/** What an extract needs of the world, as plain values and open clients. */
export interface Services {
  db: Db;
  bucket: Bucket;
  model: Config.Model;
  times: Times;
  version: string;
}

/** Who asks, under which ids, until when. */
export interface Caller {
  principal: Principal;
  /** `X-Request-ID`: the extract's id when the body gives none, the caller chose it, and it is not taken. */
  headerId: { value: string; given: boolean };
  idempotencyKey: string | undefined;
  /** Epoch milliseconds at which the answer must be on its way. */
  deadline: number;
  log: Log;
}

export type Outcome = { kind: "done"; answer: Extract; replayed: boolean } | { kind: "running"; running: Running };

const pollUrl = (requestId: string) => `/v1/extracts/${requestId}`;

/**
 * Reads one picture. The same id and payload give the same answer without a second model call; while somebody
 * works on it, `running`; a failure that may be retried, and work whose lease ran out, is taken up again.
 *
 * Order of writes: row (claim) → artifact, only if none is there → row (ending). Whoever finds an artifact at the
 * extract's own key goes by it, so a crash between any two steps loses nothing and asks the model once at most
 * per claim.
 * @throws AppError with a code of API.md; after a failed extraction `details.artifact_rel` says where it is recorded.
 */
export async function extract(services: Services, input: ExtractRequest, caller: Caller): Promise<Outcome> {
  const startedAt = Date.now();
  const { principal } = caller;
  if (input.request_id !== undefined && !Id.isRequestId(input.request_id)) {
    throw new AppError("invalid_request_id", "request_id: 1 to 128 letters, digits, '_', '.' and '-', beginning with a letter or digit");
  }
  const task = Task.get(input.task_id);
  if (task === undefined) throw invalidRequest([{ path: "task_id", message: "no such task" }]);
  const { bytes, declaredMimeType } = decode(input.image_base64);
  const image = await Image.inspect(bytes);
  const payloadHash = hash({ task_id: task.id, image_sha256: image.sha256 });

  const claim = await claimId(services, input, caller, { taskId: task.id, payloadHash });
  const { row } = claim;
  const log = caller.log.child({ extract_id: row.requestId });
  if (claim.kind === "running") return { kind: "running", running: running(row.requestId) };
  if (claim.kind === "ended") return { kind: "done", answer: await replay(services, log, row), replayed: true };

  const stored = await storedBefore(services, log, row);
  if (stored !== undefined) return { kind: "done", answer: answerOf(stored), replayed: true };

  const performed = await perform(services.model, {
    task,
    image,
    requestId: row.requestId,
    deadline: caller.deadline,
    signal: AbortSignal.timeout(Math.max(1, caller.deadline - Date.now())),
    log,
  });
  const artifact = compose(services, row, principal, performed, {
    source: "inline",
    mime_type: image.mimeType,
    declared_mime_type: input.mime_type ?? declaredMimeType ?? null,
    bytes: image.bytes.length,
    sha256: image.sha256,
    width: image.width,
    height: image.height,
    pages: image.pages,
  });
  artifact.timings_ms.total = Date.now() - startedAt;
  return { kind: "done", answer: await conclude(services, log, row, artifact, performed.error), replayed: false };
}

/**
 * An extract as stored, for its owner (or for an admin who names the key).
 * @throws AppError `not_found` for an id that this key does not have, whoever else may have it.
 */
export async function get(
  services: Pick<Services, "db" | "bucket">,
  input: { requestId: string; keyId: string | undefined; principal: Principal; log: Log },
): Promise<Outcome> {
  const notFound = () => new AppError("not_found", "there is no extract with this id");
  if (!Id.isReadableId(input.requestId)) throw notFound();
  if (input.keyId !== undefined && input.keyId !== input.principal.keyId && input.principal.role !== "admin") throw notFound();
  const row = await Claims.find(services.db, input.keyId ?? input.principal.keyId, input.requestId);
  if (row === undefined) throw notFound();
  if (row.status === "running" && row.leaseUntil.getTime() > Date.now()) {
    return { kind: "running", running: running(row.requestId) };
  }
  const rel = row.status === "running" ? Artifacts.extractKey(row.keyId, row.requestId, row.createdAt) : row.artifactRel;
  const artifact = rel === null ? undefined : await Artifacts.get(services.bucket, input.log, rel);
  if (artifact !== undefined) {
    const answer = answerOf(artifact);
    const mayReadRaw = input.principal.scopes.includes("debug:read_raw");
    return { kind: "done", answer: mayReadRaw ? { ...answer, raw: artifact.raw_model_text } : answer, replayed: true };
  }
  // Nothing but the row is left: it was interrupted, or its failure could not be stored.
  const error =
    row.errorCode === null
      ? new AppError("internal", "the work on this extract was interrupted: send the same call again")
      : new AppError(row.errorCode as Code, row.errorMessage ?? "");
  throw error;
}

/** Only what belongs to the wire. */
export function answerOf(artifact: Artifact): Extract {
  const { payload_hash, input, sent, request, raw_model_text, finish_reason, attempts, principal, code_version, ...answer } = artifact;
  return answer;
}

const running = (requestId: string): Running => ({ request_id: requestId, status: "running", poll_url: pollUrl(requestId) });

const hash = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");

/** Which id this call is about (body, Idempotency-Key, header, new), and whether it is ours to work on. */
async function claimId(
  services: Services,
  input: ExtractRequest,
  caller: Caller,
  what: { taskId: string; payloadHash: string },
): Promise<Claims.Claim> {
  const { db, times } = services;
  const wish = (requestId: string): Claims.Wish => ({
    keyId: caller.principal.keyId,
    requestId,
    ...what,
    leaseUntil: new Date(caller.deadline + times.httpReserveMs + times.leaseGraceMs),
  });
  const named = async (requestId: string) => {
    const claim = await Claims.claim(db, wish(requestId), { mustBeNew: false });
    if (claim === undefined) throw new AppError("internal", "the claim had no answer");
    return claim;
  };
  if (caller.idempotencyKey !== undefined) {
    const requestId = await Claims.resolveIdempotency(db, {
      keyId: caller.principal.keyId,
      idempotencyKey: caller.idempotencyKey,
      proposedId: input.request_id ?? Id.create(),
      payloadHash: hash({ ...what, request_id: input.request_id ?? null }),
      ttlMs: times.idempotencyMs,
    });
    return named(requestId);
  }
  if (input.request_id !== undefined) return named(input.request_id);
  if (caller.headerId.given) {
    const claim = await Claims.claim(db, wish(caller.headerId.value), { mustBeNew: true });
    // Proxies repeat headers: nobody gets an old answer by accident, but a new id.
    return claim ?? named(Id.create());
  }
  return named(caller.headerId.value);
}

/** The answer of an id that has ended. A final failure is answered as at the first time. */
async function replay(services: Services, log: Log, row: Claims.Row): Promise<Extract> {
  if (row.status === "failed") {
    throw new AppError(row.errorCode as Code, row.errorMessage ?? "", { details: { artifact_rel: row.artifactRel } });
  }
  const artifact = row.artifactRel === null ? undefined : await Artifacts.get(services.bucket, log, row.artifactRel);
  if (artifact === undefined) throw new AppError("not_found", "what was stored for this id is no longer there");
  return answerOf(artifact);
}

/**
 * What an earlier worker left for this id: an artifact put before the row was ended, or one that waits in the row
 * because the bucket was away. Ends the row from it.
 */
async function storedBefore(services: Services, log: Log, row: Claims.Row): Promise<Artifact | undefined> {
  if (row.token === 1) return undefined;
  const rel = Artifacts.extractKey(row.keyId, row.requestId, row.createdAt);
  if (row.pendingArtifact !== null) await Artifacts.put(services.bucket, log, rel, row.pendingArtifact);
  const artifact = await Artifacts.get(services.bucket, log, rel);
  if (artifact === undefined || !belongsTo(row, artifact)) return undefined;
  await settle(services, row, artifact);
  return artifact;
}

/** A final failure ends the row and is thrown; a success ends the row. */
async function settle(services: Services, row: Claims.Row, artifact: Artifact): Promise<void> {
  const { artifact_rel: artifactRel, error } = artifact;
  if (error === undefined) {
    await Claims.commit(services.db, row, { status: "succeeded", artifactRel: artifactRel ?? "", schemaOk: artifact.schema_ok === true });
    return;
  }
  await Claims.commit(services.db, row, { status: "failed", artifactRel, errorCode: error.code, errorMessage: error.message });
  throw new AppError(error.code, error.message, { details: { artifact_rel: artifactRel } });
}

const belongsTo = (row: Claims.Row, artifact: Artifact) =>
  artifact.request_id === row.requestId && artifact.payload_hash === row.payloadHash && artifact.principal.key_id === row.keyId;

/** The artifact of an ending or of an attempt; its place depends on whether a repeat may still change it. */
function compose(
  services: Services,
  row: Claims.Row,
  principal: Principal,
  performed: Performed,
  input: Artifact["input"],
): Artifact {
  const { error } = performed;
  return {
    request_id: row.requestId,
    task_id: row.taskId,
    created_at: row.createdAt.toISOString(),
    status: error === undefined ? "succeeded" : "failed",
    ...performed.answer,
    timings_ms: { total: 0, ...performed.timingsMs },
    artifact_rel: error?.retry
      ? Artifacts.attemptKey(row.keyId, row.requestId, row.createdAt, row.token)
      : Artifacts.extractKey(row.keyId, row.requestId, row.createdAt),
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    payload_hash: row.payloadHash,
    input,
    ...performed.record,
    principal: { key_id: principal.keyId, role: principal.role },
    code_version: services.version,
  };
}

/** Stores the artifact, ends the row, and answers: with ours, or with what was there first. */
async function conclude(
  services: Services,
  log: Log,
  row: Claims.Row,
  artifact: Artifact,
  error: AppError | undefined,
): Promise<Extract> {
  if (error?.retry) return concludeAttempt(services, log, row, artifact, error);
  const rel = artifact.artifact_rel ?? "";
  const encoded = Artifacts.encode(artifact);
  let put: "written" | "taken";
  try {
    put = await Artifacts.put(services.bucket, log, rel, encoded);
  } catch (thrown) {
    const failure = from(thrown);
    await keepInRow(services, row, encoded, failure);
    throw failure;
  }
  const stored = put === "written" ? artifact : await Artifacts.get(services.bucket, log, rel);
  if (stored === undefined) {
    // Refused as taken, yet nothing is there: another writer is still at it.
    const failure = new AppError("storage_unavailable", "the bucket could not store the answer right now", { retryAfterS: 2 });
    await keepInRow(services, row, encoded, failure);
    throw failure;
  }
  if (!belongsTo(row, stored)) throw new AppError("conflict", "another artifact lies where this one belongs");
  await settle(services, row, stored);
  return answerOf(stored);
}

/** A failure that may be retried: recorded beside the extract's own key; the next repeat tries again. */
async function concludeAttempt(
  services: Services,
  log: Log,
  row: Claims.Row,
  artifact: Artifact,
  error: AppError,
): Promise<never> {
  let artifactRel = artifact.artifact_rel;
  try {
    await Artifacts.put(services.bucket, log, artifactRel ?? "", Artifacts.encode(artifact));
  } catch (thrown) {
    // The failure itself is what the caller must hear of; that it could not be recorded is in the log.
    log.warn("attempt_not_stored", { code: from(thrown).code });
    artifactRel = null;
  }
  await Claims.commit(services.db, row, { status: "retryable", artifactRel, errorCode: error.code, errorMessage: error.message });
  throw artifactRel === null ? error : error.with({ artifact_rel: artifactRel });
}

/** The bucket is away and the model has answered: the artifact waits in the row, and no second call is needed. */
async function keepInRow(services: Services, row: Claims.Row, encoded: string, failure: AppError): Promise<void> {
  const fits = Buffer.byteLength(encoded) <= sizes.pendingArtifactBytes;
  await Claims.commit(services.db, row, {
    status: "retryable",
    artifactRel: null,
    errorCode: failure.code,
    errorMessage: failure.message,
    ...(fits ? { pendingArtifact: encoded } : {}),
  });
}

