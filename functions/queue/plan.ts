import * as Bucket from "#core/bucket/bucket";
import * as Plan from "#core/run/control/plan";
import { PlanMessage } from "#core/run/dispatch/order";
import { services } from "#functions/services";
import { worker } from "#functions/worker";

/** The planner of runs. A run is a message group, so only one planner works on it at a time. */
export const handler = worker("plan", async ({ body, log, deadline }) => {
  const message = PlanMessage.parse(body);
  await Plan.plan(services(Bucket.patient()), message, { deadline }, log.child({ run_uid: message.run_uid }));
});
