import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import * as Config from "#core/config";
import type { AppError, Code } from "#core/error";
import { metrics as names, namespace, service } from "#spec/metrics";

/*
 * Numbers for alarms, as lines in CloudWatch's embedded metric format: no call, no permission, nothing to wait for.
 * Only a deployed stage writes them. They carry counts and durations, and of names only service and stage.
 */

let shared: Metrics | undefined;

/** Adds and writes at once: metrics that are kept until the end of an invocation would be lost with it. */
function publish(add: (metrics: Metrics) => void): void {
  const { deployed, stage } = Config.app();
  if (!deployed) return;
  shared ??= new Metrics({ namespace, serviceName: service, defaultDimensions: { stage } });
  add(shared);
  shared.publishStoredMetrics();
}

/**
 * A model call that has ended. The time of a refused one says nothing about the model, so it counts only as an error.
 */
export function modelCall(call: { durationMs: number; failed: boolean; timedOut: boolean }): void {
  publish((metrics) => {
    metrics.addMetric(names.modelCallErrors, MetricUnit.Count, call.failed ? 1 : 0);
    if (!call.failed || call.timedOut)
      metrics.addMetric(names.modelCallMs, MetricUnit.Milliseconds, call.durationMs);
  });
}

/** A failed probe of the model server while work waits for it. */
export function modelAway(): void {
  publish((metrics) => metrics.addMetric(names.modelAway, MetricUnit.Count, 1));
}

/** How much of the day's model time one key used, in percent. */
export function keyShare(percent: number): void {
  publish((metrics) => metrics.addMetric(names.keyShare, MetricUnit.Percent, percent));
}

/** How many secrets end soon. */
export function expiringSecrets(count: number): void {
  publish((metrics) => metrics.addMetric(names.expiringSecrets, MetricUnit.Count, count));
}

/** What the pod's manager found at a look, by the name of its alarm. */
export function pod(alarm: "failed" | "no_capacity" | "orphan" | "budget" | "provider"): void {
  const name = {
    ...{ failed: names.podFailed, no_capacity: names.podNoCapacity, orphan: names.podOrphan },
    ...{ budget: names.podBudget, provider: names.podProvider },
  }[alarm];
  publish((metrics) => metrics.addMetric(name, MetricUnit.Count, 1));
}

/** No evidence about the quality of reading: the cause was an outage, the deadline, or the picture itself. */
const noVerdict: readonly Code[] = ["inference_unavailable", "inference_timeout", "storage_unavailable"];

/** An attempt at a picture that was read, or that failed although the model answered and the picture was valid. */
export function item(error: AppError | undefined): void {
  if (error !== undefined && (error.status < 500 || noVerdict.includes(error.code))) return;
  publish((metrics) => metrics.addMetric(names.itemErrors, MetricUnit.Count, error === undefined ? 0 : 1));
}
