import * as Breaker from "#core/breaker/breaker";
import * as Bucket from "#core/bucket/bucket";
import { chosen } from "#core/document/chosen";
import * as Document from "#core/document/document";
import { type AppError, from } from "#core/error";
import * as Type from "#core/image/type";
import type { Held } from "#core/lease/lease";
import type { Log } from "#core/log";
import { stepLimits } from "#core/reading/job";
import type { Performed } from "#core/reading/reading";
import { openSteps } from "#core/reading/stored-call";
import { isolateFrom } from "#core/reading/suspicion";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import { requestIdOf } from "#core/run/serialize";
import type { RunServices } from "#core/run/services";
import { keptKey } from "#core/run/source/kept";
import { read } from "#core/split/read";
import type * as Task from "#core/task/task";
import { documents } from "#spec/limits";
import { identityOf } from "./artifact.ts";
import { isCopied } from "./copied.ts";
import * as Linked from "./linked.ts";
import * as Picture from "./picture.ts";
import * as Suspect from "./suspect.ts";

/**
 * `crowded`: a suspect that cannot be isolated now. `kept`: the run has a copy of the picture. `stored`: calls about the
 * document that are stored for the next worker.
 */
type Asked =
  | { kind: "asked"; performed: Performed; document: Document.Document; kept: boolean; stored: number }
  | { kind: "unreadable"; error: AppError; kept: boolean }
  | { kind: "crowded" };

/**
 * Reads an item's picture and asks the model about it, which takes most of the time of an item. It does not change
 * the item.
 * @param how.signal - aborts when the lease of the item is lost.
 * @param how.onAlone - called when the item gets, and when it loses, the right to be isolated.
 * @throws AppError `storage_unavailable`.
 */
export async function ask(
  services: RunServices,
  what: { run: RunRow; row: ItemRow; task: Task.Task; early: Picture.Early | undefined },
  job: Pick<Held, "leaseUntil" | "startedAt"> & { deadline: number },
  how: { signal: AbortSignal; log: Log; onAlone(is: boolean): void },
): Promise<Asked> {
  const { run, row, task } = what;
  const { signal, log } = how;
  const opened: Opened = { kept: false };
  let document: Document.Document;
  let pages: number[];
  try {
    document = await open(services, what, { ...how, deadline: job.deadline, opened });
    pages = chosen(document, row.pages ?? undefined, run.maxPages ?? documents.queuedPages);
  } catch (thrown) {
    const error = from(thrown);
    if (error.code === "storage_unavailable") throw error;
    return { kind: "unreadable", error, kept: opened.kept };
  }
  const lone = row.suspects >= isolateFrom;
  if (lone) {
    // Half of the time is for the others to end, half for the call.
    const until = (Date.now() + job.deadline) / 2;
    const time = { leaseUntil: job.leaseUntil, until, signal };
    if (!(await Suspect.take(services, row, time, how.onAlone))) return { kind: "crowded" };
  }
  const steps = await openSteps(services.bucket, log, identityOf(run, row), stepLimits(services.times, job));
  const work = {
    task,
    document,
    pages,
    look: run.look ?? undefined,
    split: row.split ?? run.split ?? undefined,
    requestId: requestIdOf(run, row.index),
    createdAt: run.createdAt,
    deadline: job.deadline,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, job.deadline - Date.now()))]),
    endOnSuspect: true,
    steps,
    log,
  };
  const asked = await Linked.withSameVersion(services, row, work, await read(services.model, work));
  // The right was lost with the lease, and another suspect may have it.
  if (lone && !signal.aborted) await aloneNoMore(services, how);
  return { kind: "asked", ...asked, kept: opened.kept, stored: steps.stored };
}

interface Opened {
  /** The run has a copy of the picture. */
  kept: boolean;
}

/**
 * Opens an item's picture: one that the model server can fetch by itself by its header, all others whole.
 * @throws AppError as `Picture.load` and `Document.open` do.
 */
async function open(
  services: RunServices,
  { run, row, early }: Pick<Parameters<typeof ask>[1], "run" | "row" | "early">,
  { signal, log, deadline, opened }: { signal: AbortSignal; log: Log; deadline: number; opened: Opened },
): Promise<Document.Document> {
  const whole = async (begun?: Picture.Early): Promise<Document.Document> => {
    const bytes = await Picture.load(services, row, { early: begun, deadline }, log);
    if (isCopied(run, row)) {
      // The picture is kept before it is checked: one that cannot be read is an input of the run, too.
      const type = Type.mediaTypeOf(row.declaredMimeType ?? undefined);
      await Bucket.put(services.bucket, log, keptKey(run, row.index), { body: bytes, contentType: type });
      opened.kept = true;
    }
    return await Document.open(bytes, { decoder: services.decoder, signal });
  };
  if (!Linked.isWanted(services.model, run, row)) return await whole(early);
  const begun = early !== undefined && "head" in early ? early.head : undefined;
  return (await Linked.open(services.bucket, log, row, { begun, deadline, read: whole })) ?? (await whole());
}

/** The right also expires, so a failure here must not lose the answer. */
async function aloneNoMore(
  services: Pick<RunServices, "db">,
  { log, onAlone }: { log: Log; onAlone(is: boolean): void },
): Promise<void> {
  onAlone(false);
  try {
    await Breaker.aloneNoMore(services.db);
  } catch (thrown) {
    log.warn("alone_not_released", { code: from(thrown).code });
  }
}
