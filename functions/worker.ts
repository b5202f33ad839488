import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import * as Config from "#core/config";
import * as AppErrors from "#core/error";
import type { Held } from "#core/lease/lease";
import * as Log from "#core/log";
import * as Queue from "#core/queue/queue";
import * as Limits from "#spec/limits";

/** One message and how long there is. */
interface Job extends Held {
  body: unknown;
  /** Epoch milliseconds at which work must be written down. */
  deadline: number;
  /** How often the message was received, this time included. */
  receiveCount: number;
  /** Settled when the message's visibility was set, or could not be: then it is the queue's own, which is longer. */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now, if the queue takes it; for work that then throws. */
  hold(ms: number): Promise<void>;
  log: Log.Log;
}

/**
 * A Lambda handler for a queue's messages: return = done; throw, or return "again" where that is nothing to complain
 * of, = the message comes back when its visibility ends.
 * That is shortened first, to a little more than this invocation may take, or to a lease of two minutes that `run` renews
 * (docs/architecture.md, "Where the times come from"). Where the queue does not take that, the work is done all the same:
 * its own visibility outlives every invocation, and only a kill costs more then.
 * @param options.holdBeside - `run` begins beside that first call and waits for `held` before it does anything that
 *   takes long.
 * @param options.renews - `run` keeps its lease with #core/lease/lease: what it holds is short.
 * @param name - undefined for dead letters, whose own queues nobody knows by address: their visibility stays as it is.
 */
export function worker(
  name: Queue.Name | undefined,
  run: (job: Job) => Promise<unknown>,
  options: { holdBeside?: true; renews?: true } = {},
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
        const times = Limits.times(Config.app().timeScale);
        const remainingMs = context.getRemainingTimeInMillis();
        const hold = async (ms: number) => {
          if (name !== undefined) await Queue.holdFor(Queue.connect(), name, record.receiptHandle, ms);
        };
        const lease = leaseOf(times, { startedAt, remainingMs, renews: options.renews === true });
        const holdPast = (until: number) =>
          hold(until - Date.now() + times.visibilityGraceMs - times.leaseGraceMs);
        const leaseUntil = lease.until(startedAt);
        const may = (holding: Promise<void>) =>
          holding.catch((thrown: unknown) => {
            log.warn("message_not_held", { code: AppErrors.from(thrown).code });
          });
        const held = may(holdPast(leaseUntil));
        if (!options.holdBeside) await held;
        const outcome = await run({
          body: JSON.parse(record.body),
          startedAt,
          deadline: startedAt + remainingMs - times.queueReserveMs,
          leaseUntil: new Date(leaseUntil),
          renewal: { ...lease, hold: holdPast },
          receiveCount: Number(record.attributes.ApproximateReceiveCount) || 1,
          held,
          // After the first one, whose answer would otherwise undo it.
          hold: async (ms) => {
            await held;
            await may(hold(ms));
          },
          log,
        });
        const again = outcome === "again";
        if (again) failed.push(record.messageId);
        log.info("message_end", { duration_ms: Date.now() - startedAt, ...(again ? { again } : {}) });
      } catch (thrown) {
        const error = AppErrors.from(thrown);
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
