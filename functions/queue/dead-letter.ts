import * as z from "zod";
import * as Probe from "#core/breaker/probe";
import * as Bucket from "#core/bucket/bucket";
import * as Order from "#core/run/dispatch/order";
import * as Window from "#core/run/dispatch/window";
import * as DeadLetter from "#core/run/item/dead-letter";
import { services } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.union([Window.ItemMessage, Order.PlanMessage, Probe.AnyMessage]);

/** Messages of runs that were received a hundred times without being processed. */
export const handler = worker(undefined, async ({ body, log, leaseUntil }) => {
  const message = Message.parse(body);
  if (!("run_uid" in message)) return;
  const lines = log.child({ run_uid: message.run_uid });
  return "kind" in message
    ? DeadLetter.buryOrder(services(Bucket.patient()), message, lines)
    : DeadLetter.buryItem(services(Bucket.patient()), message, leaseUntil, lines);
});
