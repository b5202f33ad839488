import * as z from "zod";
import * as Order from "#core/run/dispatch/order";
import * as DeadLetter from "#core/run/item/dead-letter";
import { patientRun } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.union([
  z.object({ run_uid: z.string(), epoch: z.int(), index: z.int(), seq: z.int(), slot: z.int() }),
  z.object({ run_uid: z.string(), kind: z.enum(Order.kinds) }),
  z.object({ kind: z.literal("probe") }),
]);

/** Messages of runs that were received a hundred times in vain. */
export const handler = worker(undefined, async ({ body, log, leaseUntil }) => {
  const message = Message.parse(body);
  // Reconcile begins another chain of looks when this one is not heard of.
  if (!("run_uid" in message)) return;
  const lines = log.child({ run_uid: message.run_uid });
  return "kind" in message
    ? DeadLetter.buryOrder(patientRun(), message, lines)
    : DeadLetter.buryItem(patientRun(), message, leaseUntil, lines);
});
