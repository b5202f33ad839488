import type { Context } from "aws-lambda";
import * as Breaker from "#core/breaker/breaker";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import * as Census from "#core/census/census";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Log from "#core/log";
import * as Expiries from "#core/readiness/expiries";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import * as Share from "#core/usage/share";
import { services } from "#functions/services";

/** The longest time for retention; it continues in the next minute. */
const sweepMs = 15_000;

/** Each minute: repairs what crashes left. In a healthy system it repairs nothing, and logs that. */
export async function handler(_event: unknown, context: Context): Promise<void> {
  const log = Log.create({ request_id: context.awsRequestId, function: context.functionName });
  const stores = services(Bucket.patient());
  // A failure of one must not stop the others.
  const outcomes = await Promise.allSettled([
    Extracts.reconcile(stores, log),
    Runs.reconcile(stores, log),
    Share.tellLargestShare(stores.db, log, new Date()),
    Proof.daily(stores, log),
    Census.step(stores, log),
    Expiries.tell({ credentials: Config.credentials, db: Database.connect }, log),
    retention(log),
    evaluations(log),
    unmanage(stores.db, log),
  ]);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Nothing that the pod's manager left has an effect once the manager is off. */
async function unmanage(db: Database.Db, log: Log.Log): Promise<void> {
  if (!Config.app().podManaged && (await Breaker.unmanage(db))) log.info("pod_unmanaged");
}

async function evaluations(log: Log.Log): Promise<void> {
  const { reconcile } = await import("#core/evaluation/job/reconcile");
  await reconcile(services(Bucket.patient()), log);
}

/** Loaded while the others run their first queries, so that they do not wait for it. */
async function retention(log: Log.Log): Promise<void> {
  const { sweep } = await import("#core/retention/retention");
  await sweep(services(Bucket.patient()), log, {
    days: Config.retentionDays(),
    deadline: Date.now() + sweepMs,
  });
}
