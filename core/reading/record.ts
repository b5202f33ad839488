import * as z from "zod";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as RulesVersion from "#core/canonical/rules-version";
import type * as Document from "#core/document/document";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import * as Upload from "#core/upload/upload";
import { answered } from "./parts/answered.ts";
import type { Performed } from "./reading.ts";
import type { Artifact, Extract } from "./schema.ts";
import type { Services } from "./services.ts";

/* The record of an attempt: an artifact, its key, and the part of it that is returned to callers. */

/** Whose attempt it is, and for what. */
interface Identity {
  keyId: string;
  requestId: string;
  taskId: string;
  createdAt: Date;
  token: number;
  payloadHash: string;
}

/** Has only the fields of the wire format. */
export function answerOf(artifact: Artifact): Extract {
  const {
    payload_hash,
    run,
    kept,
    input,
    sent,
    sent_pages,
    calls,
    text_layer,
    file_texts,
    request,
    raw_model_text,
    finish_reason,
    attempts,
    principal,
    code_version,
    rules_version,
    documents,
    ...answer
  } = artifact;
  return documents === undefined ? answer : { ...answer, documents: answered(documents) };
}

/** An error as it is stored, so that later answers are as complete as the first. */
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
    timings_ms: { total: about.totalMs + (performed.earlierMs ?? 0), ...performed.timingsMs },
    artifact_rel: error?.retry
      ? Place.attemptKey(row.keyId, row.requestId, row.createdAt, row.token)
      : Place.extractKey(row.keyId, row.requestId, row.createdAt),
    ...(error === undefined ? {} : { error: storedError(error) }),
    payload_hash: row.payloadHash,
    input: about.input === null ? null : { ...about.input, page_sizes: performed.pageSizes },
    ...performed.record,
    principal: about.principal,
    code_version: about.codeVersion,
    rules_version: RulesVersion.version,
  };
}

/** The artifact's description of the input. */
export function inputOf(
  document: Document.Document,
  source: NonNullable<Artifact["input"]>["source"],
  declaredMimeType: string | null,
  objectKey?: string | null,
): Artifact["input"] {
  return {
    source,
    ...(source === "upload" && objectKey ? { image_ref: Upload.refOf(objectKey) } : {}),
    mime_type: document.mimeType,
    declared_mime_type: declaredMimeType,
    bytes: document.size,
    sha256: document.sha256,
    ...(document.link === undefined ? {} : { etag: document.link.etag }),
    width: document.first.width,
    height: document.first.height,
    pages: document.frames,
    kind: document.kind,
  };
}

/**
 * Records a failure that may be retried beside the extract's own key.
 * @returns the key; null during an outage of the bucket, because the failure itself matters more.
 */
export async function recordAttempt(
  stores: Pick<Services, "bucket">,
  log: Log,
  artifact: Artifact,
): Promise<string | null> {
  try {
    await put(stores.bucket, log, artifact.artifact_rel ?? "", encode(artifact));
    return artifact.artifact_rel;
  } catch (thrown) {
    log.warn("attempt_not_stored", { code: from(thrown).code });
    return null;
  }
}

/** True if calls may have been stored for a next worker, which is only the case for documents of several calls. */
export const hasSteps = ({ calls, documents }: Artifact): boolean =>
  calls !== undefined || documents !== undefined;

/** The bytes of an artifact, indented, because people read it, too. */
export function encode(artifact: Artifact): string {
  return `${JSON.stringify(artifact, null, 1)}\n`;
}

/** Writes an artifact once. "taken": another writer was first, and that artifact counts. @throws AppError `storage_unavailable`. */
export function put(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
  encoded: string,
): Promise<"written" | "taken"> {
  return Bucket.put(bucket, log, rel, { body: encoded, contentType: "application/json" });
}

/** The members by which an artifact is recognized; the others are trusted. */
const Recognised = z.looseObject({
  request_id: z.string(),
  payload_hash: z.string(),
  principal: z.looseObject({ key_id: z.string() }),
  // The first artifacts do not have this member.
  warnings: z.array(z.unknown()).default([]),
});

/**
 * Parses an artifact, also an older one with fewer fields.
 * @throws an error for a text that is not an artifact.
 */
export function decode(text: string): Artifact {
  return Recognised.parse(JSON.parse(text)) as unknown as Artifact;
}

/**
 * Reads an artifact; undefined if there is none.
 * @throws AppError `storage_unavailable`; `internal` for an object that is not an artifact.
 */
export async function get(bucket: Bucket.Bucket, log: Log, rel: string): Promise<Artifact | undefined> {
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) return undefined;
  try {
    return decode(new TextDecoder().decode(bytes));
  } catch (thrown) {
    throw new AppError("internal", "the artifact of this extract cannot be read", { cause: thrown });
  }
}

/**
 * Reads the object at a key where our artifact belongs: our artifact, nothing, or `foreign` for another row's
 * artifact or any other object (two stages in one bucket, or a new database with an old bucket). A foreign object is
 * never overwritten.
 * @throws AppError `storage_unavailable`.
 */
export async function own(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
  isOurs: (artifact: Artifact) => boolean,
): Promise<Artifact | "foreign" | undefined> {
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) return undefined;
  let artifact: Artifact;
  try {
    artifact = decode(new TextDecoder().decode(bytes));
  } catch {
    return "foreign";
  }
  return isOurs(artifact) ? artifact : "foreign";
}

/** The error of work whose key is taken: its answer could never be stored there, so a repeat does not help. */
export const taken = () =>
  new AppError("conflict", "another artifact lies where this one belongs", {
    details: { reason: "artifact_taken" },
  });
