import type * as Document from "#core/document/document";
import { AppError, from } from "#core/error";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import type { Split } from "#core/reading/page-numbers";
import type { Performed } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import { usedOf } from "#core/reading/used";
import type * as Source from "#core/source/source";
import type { Debug } from "#core/task/override";
import * as Answer from "./answer.ts";
import { isHeld } from "./away.ts";
import { handOver } from "./handover.ts";
import * as Password from "./password.ts";
import * as Row from "./row.ts";

/* What becomes of a call that has no answer yet: its work goes on in the queue, or it ends and may be repeated. */

/** The work of one call after its claim. */
export interface Work {
  services: Services;
  caller: { principal: Principal };
  log: Log;
  row: Row.Row;
  debug: Debug | undefined;
  /** As the caller wishes it; undefined: as the stage is set. */
  look: boolean | undefined;
  split: Split | undefined;
  /** The call brought a password, without which no worker could open the file. */
  hasPassword: boolean;
  document: Document.Document;
  /** As the caller chose them; undefined: all. */
  wanted: number[] | undefined;
  source: Source.Source;
  startedAt: number;
  /** How many calls about the document are stored for the next worker, once the model was asked. */
  stored?: () => number;
}

/** An attempt that failed. */
type Failed = Performed & { error: AppError };

/**
 * Hands work over to the queue. If that is impossible, as with a password, the call ends with the reason why it could not be
 * answered here.
 * @param how.cutOff - the model was asked, and the caller's time was over.
 * @param instead - the reason, or the attempt that failed; undefined: the work was not begun.
 */
export async function toQueue(
  work: Work,
  how: { cutOff: boolean; waitingFor: "model_server" | null },
  instead: Failed | AppError | undefined,
): Promise<Answer.Outcome> {
  const { services, caller, log, row, document, source } = work;
  const failed = instead instanceof AppError ? undefined : instead;
  const artifact = failed && composed(work, failed);
  const error = failed?.error ?? (instead as AppError | undefined);
  const end = (why: AppError) => (artifact === undefined ? giveUp(work, why) : fail(work, artifact, why));
  if (work.hasPassword && error !== undefined) return end(Password.notQueued(error));
  try {
    await handOver(services, log, row, {
      ...how,
      used: artifact && usedOf(artifact, row.callsCounted),
      callsCounted: work.stored?.(),
      picture: {
        bytes: document.bytes,
        mimeType: document.mimeType,
        input: {
          source: source.kind,
          declaredMimeType: source.declaredMimeType ?? null,
          objectKey: source.objectKey ?? null,
          etag: source.etag ?? null,
          debug: work.debug ?? null,
          ...(work.wanted === undefined ? {} : { pages: work.wanted }),
          look: work.look,
          split: work.split,
          principalRole: caller.principal.role,
        },
      },
    });
  } catch (thrown) {
    const failure = from(thrown);
    if (failure.code !== "storage_unavailable") throw failure;
    log.warn("handover_failed", { code: failure.code });
    return end(error ?? failure);
  }
  log.info("handed_over", { waiting_for: how.waitingFor, cut_off: how.cutOff });
  // Only a pod's manager says when the model server will answer.
  const retryAfterS = error !== undefined && isHeld(error) ? error.retryAfterS : undefined;
  const away = how.waitingFor !== null;
  return { kind: "running", running: Answer.running(row.requestId), away, retryAfterS };
}

/** Ends an attempt without a model call; only the row records it. */
export async function giveUp(work: Work, error: AppError): Promise<never> {
  await Row.release(work.services.db, work.row, error);
  throw error;
}

/** Ends an attempt that may be repeated. */
export async function fail(work: Work, artifact: Artifact, error: AppError): Promise<never> {
  const artifactRel = await Record.recordAttempt(work.services, work.log, artifact);
  const { row, stored } = work;
  const used = usedOf(artifact, row.callsCounted);
  const callsCounted = stored?.() ?? row.callsCounted;
  await Row.release(work.services.db, row, error, { artifactRel, used, callsCounted });
  throw artifactRel === null ? error : error.with({ artifact_rel: artifactRel });
}

/** The artifact of an attempt of this call. */
export function composed(work: Work, performed: Performed): Artifact {
  const { caller, document, source } = work;
  return Record.compose(work.row, performed, {
    input: Record.inputOf(document, source.kind, source.declaredMimeType ?? null, source.objectKey),
    principal: { key_id: caller.principal.keyId, role: caller.principal.role },
    codeVersion: work.services.version,
    totalMs: Date.now() - work.startedAt,
  });
}
