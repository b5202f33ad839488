import * as z from "zod";
import * as Plan from "#core/run/control/plan";
import * as Order from "#core/run/dispatch/order";
import { patientRun } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.object({ kind: z.enum(Order.kinds), run_uid: z.string() });

/** The planner of runs; a run is a message group, so it has one at a time. */
export const handler = worker("plan", async ({ body, log, deadline }) => {
  const message = Message.parse(body);
  await Plan.plan(patientRun(), message, { deadline }, log.child({ run_uid: message.run_uid }));
});
