import * as z from "zod";
import * as Job from "#core/backup/job";
import * as BackupLimits from "#core/backup/limits";
import * as Probe from "#core/breaker/probe";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as JobMessage from "#core/evaluation/job/message";
import * as Queue from "#core/queue/queue";
import { deliver } from "#core/run/notify/deliver";
import * as Due from "#core/run/notify/due";
import { services } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.discriminatedUnion("kind", [
  Job.Message,
  Due.Message,
  JobMessage.Message,
  // Sent by an older version that had no `urgent` queue.
  Probe.AnyMessage,
]);

/** Work that is done in steps or after a delay. A message of an unknown kind fails until it is a dead letter. */
export const handler = worker("later", async ({ body, log, deadline, leaseUntil }) => {
  const message = Message.parse(body);
  if (message.kind === "probe") return;
  if (message.kind === "webhook") return deliver(services(Bucket.patient()), message, log);
  if (message.kind === "evaluation") {
    const { step } = await import("#core/evaluation/job/job");
    // Not all services: this function is not linked to the model server.
    const { db, bucket, queues, times, version } = services(Bucket.patient());
    const { gpuCostPerHour } = Config.usage();
    const stores = { db, bucket, queues, times, version, gpuCostPerHour };
    return step(stores, message, { deadline, leaseUntil, log });
  }
  await Job.step(
    { bucket: Bucket.patient(), send: (next) => Queue.send(Queue.connect(), "later", next) },
    message,
    { deadline, leaseUntil, log, limits: BackupLimits.limits(Config.app().timeScale) },
  );
});
