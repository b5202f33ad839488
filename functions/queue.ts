import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import * as Config from "#core/config";
import * as AppErrors from "#core/error";
import * as Log from "#core/log";
import * as Queue from "#core/queue/queue";
import * as Limits from "#infra/limits";

/** One message and how long there is. */
export interface Job {
  body: unknown;
  startedAt: number;
  /** Epoch milliseconds at which work must be written down. */
  deadline: number;
  /** A lease that ends after this invocation and before its message comes back. */
  leaseUntil: Date;
  /** How often the message was received, this time included. */
  receiveCount: number;
  /** Settled when the message's visibility was set; rejected when the queue did not take it. */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now; for work that then throws. */
  hold(ms: number): Promise<void>;
  log: Log.Log;
}

/**
 * A Lambda handler for a queue's messages: return = done; throw, or return "again" where that is nothing to complain
 * of, = the message comes back when its visibility ends.
 * That is shortened first, to a little more than this invocation may take (DESIGN.md, "A group is locked until
 * visibility ends").
 * @param options.holdBeside - `run` begins beside that first call and waits for `held` before it does anything that
 *   takes long.
 * @param name - undefined for dead letters, whose own queues nobody knows by address: their visibility stays as it is.
 */
export function worker(
  name: Queue.Name | undefined,
  run: (job: Job) => Promise<unknown>,
  options: { holdBeside?: true } = {},
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
        const held = hold(remainingMs + times.visibilityGraceMs);
        if (options.holdBeside) held.catch(() => undefined);
        else await held;
        const outcome = await run({
          body: JSON.parse(record.body),
          startedAt,
          deadline: startedAt + remainingMs - times.queueReserveMs,
          leaseUntil: new Date(startedAt + remainingMs + times.leaseGraceMs),
          receiveCount: Number(record.attributes.ApproximateReceiveCount) || 1,
          held,
          // After the first one, whose answer would otherwise undo it.
          hold: async (ms) => {
            await held.catch(() => undefined);
            await hold(ms);
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
