import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import * as Config from "#core/config";
import { from } from "#core/error";
import type { Held } from "#core/lease/lease";
import * as Log from "#core/log";
import * as Queue from "#core/queue/queue";
import * as Limits from "#spec/limits";

/** One message, and the time that is left for it. */
interface Job extends Held {
  body: unknown;
  /** Epoch milliseconds at which progress must be stored. */
  deadline: number;
  /** How often the message was received, including this time. */
  receiveCount: number;
  /**
   * Settles when the message's visibility is set. If it cannot be set, the queue's default applies, which is longer.
   */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now, if the queue accepts it; for work that then throws. */
  hold(ms: number): Promise<void>;
  log: Log.Log;
}

interface Options {
  /** `run` begins while the message's visibility is being set, and waits for `held` before anything that takes long. */
  readonly holdBeside?: true;
  /** `run` renews its lease (#core/lease/lease), so the message is held for a short time only. */
  readonly renews?: true;
}

/**
 * A Lambda handler for a queue's messages.
 *
 * First it sets the message's visibility: to a little more than this invocation may take, or to a lease of two minutes
 * that `run` renews (docs/architecture.md, "Where the times come from"). If the queue refuses, the work is done anyway:
 * the queue's default visibility is longer than every invocation, so only a worker that dies causes a longer delay.
 * @param name - undefined for dead letters: functions have no address of dead-letter queues, so the visibility is not
 *   changed.
 * @param run - does the work of one message. Returns when it is done. To have the message delivered again when its
 *   visibility ends, it throws, or returns "again" if nothing went wrong.
 */
export function worker(
  name: Queue.Name | undefined,
  run: (job: Job) => Promise<unknown>,
  options: Options = {},
) {
  return async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
    const failed: string[] = [];
    for (const record of event.Records) {
      const log = Log.create({
        request_id: context.awsRequestId,
        function: context.functionName,
        message_id: record.messageId,
      });
      const startedAt = Date.now();
      try {
        const job = await jobOf(record, { name, options, startedAt, context, log });
        const again = (await run(job)) === "again";
        if (again) failed.push(record.messageId);
        log.info("message_end", { duration_ms: Date.now() - startedAt, ...(again ? { again } : {}) });
      } catch (thrown) {
        const error = from(thrown);
        log.error("message_error", {
          code: error.code,
          duration_ms: Date.now() - startedAt,
          ...Log.describe(error),
        });
        failed.push(record.messageId);
      }
    }
    return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

interface Invocation {
  readonly name: Queue.Name | undefined;
  readonly options: Options;
  readonly startedAt: number;
  readonly context: Context;
  readonly log: Log.Log;
}

/** Sets the message's visibility, and returns when it is set unless `options.holdBeside`. */
async function jobOf(
  record: SQSRecord,
  { name, options, startedAt, context, log }: Invocation,
): Promise<Job> {
  const times = Limits.times(Config.app().timeScale);
  const remainingMs = context.getRemainingTimeInMillis();
  const hold = async (ms: number) => {
    if (name !== undefined) await Queue.holdFor(Queue.connect(), name, record.receiptHandle, ms);
  };
  const lease = leaseOf(times, { startedAt, remainingMs, renews: options.renews === true });
  const holdPast = (until: number) => hold(until - Date.now() + times.visibilityGraceMs - times.leaseGraceMs);
  const leaseUntil = lease.until(startedAt);
  const orWarn = (holding: Promise<void>) =>
    holding.catch((thrown: unknown) => {
      log.warn("message_not_held", { code: from(thrown).code });
    });
  const held = orWarn(holdPast(leaseUntil));
  if (!options.holdBeside) await held;
  return {
    body: JSON.parse(record.body),
    startedAt,
    deadline: startedAt + remainingMs - times.queueReserveMs,
    leaseUntil: new Date(leaseUntil),
    renewal: { ...lease, hold: holdPast },
    receiveCount: Number(record.attributes.ApproximateReceiveCount) || 1,
    held,
    hold: async (ms) => {
      // Otherwise the first call, if it arrives later, would undo this one.
      await held;
      await orWarn(hold(ms));
    },
    log,
  };
}

/** When leases of this invocation end. */
function leaseOf(
  times: Limits.Times,
  { startedAt, remainingMs, renews }: { startedAt: number; remainingMs: number; renews: boolean },
): Omit<Held["renewal"], "hold"> {
  const endsAt = startedAt + remainingMs;
  const most = renews ? times.leaseMs : Number.POSITIVE_INFINITY;
  return {
    everyMs: times.leaseRenewMs,
    retryMs: times.leaseRetryMs,
    lastAt: endsAt - times.queueReserveMs - times.queueTimeoutMs,
    until: (now) => Math.min(endsAt + times.leaseGraceMs, now + most),
  };
}
