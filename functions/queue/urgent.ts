import * as z from "zod";
import * as Probe from "#core/breaker/probe";
import { probe } from "#core/outage/probe";
import { urgent } from "#core/run/control/urgent";
import * as Order from "#core/run/dispatch/order";
import { services } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.discriminatedUnion("kind", [Probe.Message, Order.UrgentMessage]);

/** Short work that must not wait behind long work. A probe of the model server is held until it is due. */
export const handler = worker("urgent", async ({ body, log, deadline, startedAt, hold }) => {
  const message = Message.parse(body);
  const stores = services(undefined);
  if (message.kind !== "probe") {
    // Stops a large sweep early, so that the orders of other runs get their turn.
    const soon = Math.min(deadline, startedAt + stores.times.urgentStepMs);
    return urgent(stores, message, { deadline: soon }, log.child({ run_uid: message.run_uid }));
  }
  const early = message.due - Date.now();
  if (early <= 0) return probe(stores, message, log);
  await hold(early);
  return "again";
});
