import type { Bucket } from "#core/bucket/bucket";
import type * as Document from "#core/document/document";
import type { Log } from "#core/log";
import type { Look } from "#core/look/look";
import type { AttemptRecord } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import type { Piece } from "./pages.ts";
import type { Quality } from "./quality.ts";
import type { CallRecord, PageSize, Sent } from "./schema.ts";
import { type Identity, type Limits, Steps as StepsOf } from "./steps/steps.ts";

/* One call to the model, as it is stored and reused: the same outcome, without the model. */

/** The calls about a document; its plan has the parts that go to one call each. */
export type Steps = StepsOf<StoredCall, Piece[][]>;

/** @throws AppError `storage_unavailable`. */
export const openSteps = (
  bucket: Bucket,
  log: Log,
  identity: Identity,
  limits: Limits | undefined,
): Promise<Steps> => StepsOf.open(bucket, log, identity, limits);

/** What was found out about the pages of a part while it was prepared; pieces by their names. */
export interface Facts {
  sizes: PageSize[];
  blank: number[];
  texts: (readonly [page: number, text: Document.Text | undefined])[];
  sent: [name: string, sent: Sent][];
  quality: [name: string, quality: Quality][];
  looks?: [page: number, look: Look][];
}

export interface StoredCall {
  record: CallRecord;
  /** The pieces of the call, before and after blank pages are left out. */
  part: Piece[];
  pieces: Piece[];
  /** For a file that is split: the index of the part, from 0. */
  unit?: number | undefined;
  facts: Facts;
  /** The file's text that was sent beside the pictures. */
  fileText?: string | undefined;
  attempts: (AttemptRecord & { call: number })[];
  imageMs: number;
  inferenceMs: number;
  /** Absent where it ended with `error`. */
  answer?: Omit<Vision.Answer, "attempts">;
  /** An outcome after which the work still continued. */
  error?: StoredError;
}

type StoredError = Pick<
  Vision.VisionError,
  "code" | "message" | "details" | "fault" | "rawText" | "finishReason" | "usage" | "partial"
>;

/** The part of an outcome that is stored. */
export function outcomeOf(
  outcome: { answer: Vision.Answer; error: undefined } | { answer: undefined; error: Vision.VisionError },
): Pick<StoredCall, "answer" | "error"> {
  if (outcome.answer !== undefined) {
    const { attempts: _, ...answer } = outcome.answer;
    return { answer };
  }
  const { code, message, details, fault, rawText, finishReason, usage, partial } = outcome.error;
  return { error: { code, message, details, fault, rawText, finishReason, usage, partial } };
}

/** The outcome of the call, restored. */
export function outcomeIn({
  answer,
  error,
  attempts,
}: StoredCall):
  | { answer: Vision.Answer; error: undefined }
  | { answer: undefined; error: Vision.VisionError } {
  if (answer !== undefined) return { answer: { ...answer, attempts }, error: undefined };
  if (error === undefined) throw new TypeError("a stored call needs an answer or an error");
  const { code, message, details, ...rest } = error;
  const options = { ...rest, ...(details === undefined ? {} : { details }), attempts };
  return { answer: undefined, error: new Vision.VisionError(code, message, options) };
}
