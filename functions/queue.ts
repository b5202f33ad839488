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
  log: Log.Log;
}

/**
 * A Lambda handler for a queue's messages: return = done, throw = the message comes back when its visibility ends.
 * That is shortened first, to a little more than this invocation may take (DESIGN.md, "A group is locked until
 * visibility ends").
 */
export function worker(name: Queue.Name, run: (job: Job) => Promise<void>) {
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
        await Queue.holdFor(
          Queue.connect(),
          name,
          record.receiptHandle,
          remainingMs + times.visibilityGraceMs,
        );
        await run({
          body: JSON.parse(record.body),
          startedAt,
          deadline: startedAt + remainingMs - times.queueReserveMs,
          leaseUntil: new Date(startedAt + remainingMs + times.leaseGraceMs),
          log,
        });
        log.info("message_end", { duration_ms: Date.now() - startedAt });
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
