import * as Artifacts from "#core/artifact/artifact";
import { type AppError, from } from "#core/error";
import type * as Image from "#core/image/image";
import type { Log } from "#core/log";
import type { Performed } from "./reading.ts";
import type { Artifact, Extract } from "./schema.ts";
import type { Services } from "./services.ts";

/* The record of an attempt: an artifact, where it lies, and what of it is answered. */

/** Whose attempt it is, and at what. */
export interface Identity {
  keyId: string;
  requestId: string;
  taskId: string;
  createdAt: Date;
  token: number;
  payloadHash: string;
}

/** Only what belongs to the wire. */
export function answerOf(artifact: Artifact): Extract {
  const {
    payload_hash,
    run,
    kept,
    input,
    sent,
    request,
    raw_model_text,
    finish_reason,
    attempts,
    principal,
    code_version,
    ...answer
  } = artifact;
  return answer;
}

/** An error as it is kept: whoever asks later gets to know as much as who was there. */
export function storedError({ code, message, details }: AppError): NonNullable<Extract["error"]> {
  return { code, message, ...(details === undefined ? {} : { details }) };
}

/** The artifact of an ending or of an attempt; its place depends on whether a repeat may still change it. */
export function compose(
  row: Identity,
  performed: Performed,
  about: { input: Artifact["input"]; principal: Artifact["principal"]; codeVersion: string; totalMs: number },
): Artifact {
  const { error } = performed;
  return {
    request_id: row.requestId,
    task_id: row.taskId,
    created_at: row.createdAt.toISOString(),
    status: error === undefined ? "succeeded" : "failed",
    ...performed.answer,
    timings_ms: { total: about.totalMs, ...performed.timingsMs },
    artifact_rel: error?.retry
      ? Artifacts.attemptKey(row.keyId, row.requestId, row.createdAt, row.token)
      : Artifacts.extractKey(row.keyId, row.requestId, row.createdAt),
    ...(error === undefined ? {} : { error: storedError(error) }),
    payload_hash: row.payloadHash,
    input: about.input,
    ...performed.record,
    principal: about.principal,
    code_version: about.codeVersion,
  };
}

/** How a picture is described in artifacts. */
export function inputOf(
  image: Image.Inspected,
  source: NonNullable<Artifact["input"]>["source"],
  declaredMimeType: string | null,
): Artifact["input"] {
  return {
    source,
    mime_type: image.mimeType,
    declared_mime_type: declaredMimeType,
    bytes: image.bytes.length,
    sha256: image.sha256,
    width: image.width,
    height: image.height,
    pages: image.pages,
  };
}

/**
 * Records a failure that may be retried beside the extract's own key.
 * @returns the key, or null when the bucket is away: the failure itself is what counts.
 */
export async function recordAttempt(
  stores: Pick<Services, "bucket">,
  log: Log,
  artifact: Artifact,
): Promise<string | null> {
  try {
    await Artifacts.put(stores.bucket, log, artifact.artifact_rel ?? "", Artifacts.encode(artifact));
    return artifact.artifact_rel;
  } catch (thrown) {
    log.warn("attempt_not_stored", { code: from(thrown).code });
    return null;
  }
}
