/** The alarms and the dashboard. A personal stage has neither. */

import { type FunctionName, functions, type QueueName } from "../spec/functions.ts";
import { expiries, times } from "../spec/limits.ts";
import { metrics, namespace, refusedCalls, service } from "../spec/metrics.ts";
import { type QueueSpec, queues } from "../spec/queues.ts";
import { pascal } from "../spec/settings.ts";
import { api } from "./api.ts";
import { dashboard } from "./dashboard.ts";
import { functions as deployed } from "./functions.ts";
import { pairs } from "./queue-resources.ts";

const period = 60;
/**
 * A client polls for a single extract, so its wait must be shorter than a batch's. A GPU takes less time than this to
 * load.
 */
const oldestExtractSeconds = 900;
/**
 * An HTTP call hands over to the queue when its time is over; at four fifths of that time many calls are close to it.
 */
const slowModelMs = 0.8 * (times().httpBudgetMs - times().httpReserveMs);
/** Calls in five minutes with a wrong key or none: more than a single client with an expired key makes. */
const manyRefused = 300;
/** Percent of the day's model time. */
const largeShare = 80;
/** With fewer calls than this, no percentage is judged. */
const fewest = 20;

type Alarm = (
  name: string,
  args: Omit<
    aws.cloudwatch.MetricAlarmArgs,
    "alarmActions" | "okActions" | "comparisonOperator" | "alarmDescription"
  > & { alarmDescription: string },
) => void;

const stage = `${$app.name}-${$app.stage}`;

/** Makes alarms that notify the topic when they start and when they end. */
function alarmsOfTopic(): Alarm {
  // Not SST's component: it is a link, so a stage without alarms would get different types in sst-env.d.ts.
  const topic = new aws.sns.Topic("Alarms", { name: `${stage}-alarms` });
  const email = process.env.ALARM_EMAIL;
  if (email)
    new aws.sns.TopicSubscription("AlarmEmail", { topic: topic.arn, protocol: "email", endpoint: email });
  return (name, { alarmDescription, ...args }) =>
    new aws.cloudwatch.MetricAlarm(name, {
      name: `${stage}-${name}`,
      // The heading with the instructions.
      alarmDescription: `${alarmDescription}: docs/operate/alarms.md, "${name}"`,
      comparisonOperator: "GreaterThanThreshold",
      treatMissingData: "notBreaching",
      ...args,
      alarmActions: [topic.arn],
      okActions: [topic.arn],
    });
}

const ofQueue = (queue: sst.aws.Queue, metricName: string, stat: string) => ({
  namespace: "AWS/SQS",
  metricName,
  dimensions: { QueueName: queue.nodes.queue.name },
  stat,
  period,
});

function deadLetterAlarm(alarm: Alarm, name: string, deadLetters: sst.aws.Queue, hasFunction: boolean): void {
  const lying = ofQueue(deadLetters, "ApproximateNumberOfMessagesVisible", "Maximum");
  alarm(`${pascal(name)}DeadLettersAlarm`, {
    alarmDescription: `Messages of the ${name} queue were received too often`,
    threshold: 0,
    evaluationPeriods: 1,
    ...(hasFunction
      ? {
          // Their function receives them within a second, so a count made once a minute rarely includes them.
          metricQueries: [
            { id: "lying", metric: lying },
            { id: "taken", metric: ofQueue(deadLetters, "NumberOfMessagesReceived", "Sum") },
            {
              id: "dead",
              expression: "FILL(lying, 0) + FILL(taken, 0)",
              label: "dead letters",
              returnData: true,
            },
          ],
        }
      : withoutStat(lying)),
  });
}

/**
 * Old messages alone may only mean a long run. Old messages that no worker receives mean that the queue has stopped.
 */
function stalledAlarm(alarm: Alarm, name: string, queue: sst.aws.Queue, worker: FunctionName): void {
  alarm(`${pascal(name)}StalledAlarm`, {
    alarmDescription: `The ${name} queue holds messages and no worker takes them`,
    threshold: 0,
    // All workers may be busy, and receive no message, for as long as one message may take.
    evaluationPeriods: functions[worker].timeoutMs / 1000 / period + 3,
    metricQueries: [
      { id: "age", metric: ofQueue(queue, "ApproximateAgeOfOldestMessage", "Maximum") },
      // A delayed message (a webhook's next call) or one still held by a dead worker is old too, but cannot be
      // received.
      { id: "waiting", metric: ofQueue(queue, "ApproximateNumberOfMessagesVisible", "Maximum") },
      { id: "taken", metric: ofQueue(queue, "NumberOfMessagesReceived", "Sum") },
      {
        id: "stalled",
        // A queue without receives may report nothing at all.
        expression: "IF(age > 300 AND waiting > 0 AND FILL(taken, 0) == 0, 1, 0)",
        label: "stalled",
        returnData: true,
      },
    ],
  });
}

function queueAlarms(alarm: Alarm): void {
  for (const [name, { subscription, deadLetter }] of Object.entries<QueueSpec>(queues)) {
    const { queue, deadLetters } = pairs[name as QueueName];
    deadLetterAlarm(alarm, name, deadLetters, deadLetter !== undefined);
    stalledAlarm(alarm, name, queue, subscription.function as FunctionName);
  }
  alarm("SingleAgeAlarm", {
    alarmDescription: "Extracts that were handed over wait",
    threshold: oldestExtractSeconds,
    evaluationPeriods: 3,
    ...withoutStat(ofQueue(pairs.single.queue, "ApproximateAgeOfOldestMessage", "Maximum")),
  });
}

function failedCallsAlarm(alarm: Alarm): void {
  const ofApi = (metricName: string) => ({
    namespace: "AWS/ApiGateway",
    metricName,
    dimensions: { ApiId: api.nodes.api.id },
    stat: "Sum",
    period: 5 * period,
  });
  alarm("ApiErrorsAlarm", {
    alarmDescription: "More than 5 % of the calls, or all of a few, end in 5xx",
    threshold: 5,
    evaluationPeriods: 2,
    metricQueries: [
      { id: "errors", metric: ofApi("5xx") },
      { id: "calls", metric: ofApi("Count") },
      {
        id: "rate",
        // With fewer than twenty calls in five minutes, an outage means that at least three calls were made and all
        // failed.
        expression: `IF(calls >= ${fewest} OR (errors >= 3 AND errors == calls), 100 * errors / calls, 0)`,
        label: "5xx in %",
        returnData: true,
      },
    ],
  });
}

function refusedCallsAlarm(alarm: Alarm): void {
  new aws.cloudwatch.LogMetricFilter("RefusedCalls", {
    name: `${stage}-RefusedCalls`,
    logGroupName: api.nodes.logGroup.name,
    // SST 4.17 writes the status in quotes, by mistake.
    pattern: '{ ($.status = "401") || ($.status = 401) }',
    metricTransformation: {
      namespace: `${namespace}/${$app.stage}`,
      name: refusedCalls,
      value: "1",
      unit: "Count",
    },
  });
  alarm("RefusedCallsAlarm", {
    alarmDescription: `More than ${manyRefused} calls in five minutes came with a wrong key or none`,
    threshold: manyRefused,
    evaluationPeriods: 2,
    namespace: `${namespace}/${$app.stage}`,
    metricName: refusedCalls,
    statistic: "Sum",
    period: 5 * period,
  });
}

/**
 * Reconcile runs every minute even without traffic, so it is the first to notice that the database refuses its token.
 */
function clockAlarm(alarm: Alarm): void {
  const ofClock = (metricName: string) => ({
    namespace: "AWS/Lambda",
    metricName,
    dimensions: { FunctionName: deployed.reconcile.nodes.function.name },
    stat: "Sum",
    period: 5 * period,
  });
  alarm("ReconcileAlarm", {
    alarmDescription: "Nothing is repaired any more",
    threshold: 0,
    evaluationPeriods: 2,
    treatMissingData: "breaching",
    metricQueries: [
      { id: "calls", metric: ofClock("Invocations") },
      { id: "errors", metric: ofClock("Errors") },
      {
        id: "none",
        expression: "IF(FILL(calls, 0) > FILL(errors, 0), 0, 1)",
        label: "no call that ended well",
        returnData: true,
      },
    ],
  });
}

/** One of our own metrics. */
const own = (metricName: string, stat: string) => ({
  namespace,
  metricName,
  dimensions: { service, stage: $app.stage },
  stat,
  period: 5 * period,
});

function workAlarms(alarm: Alarm): void {
  alarm("ItemErrorsAlarm", {
    alarmDescription: "More than 10 % of the pictures are not read",
    threshold: 10,
    evaluationPeriods: 2,
    metricQueries: [
      { id: "errors", metric: own(metrics.itemErrors, "Sum") },
      { id: "items", metric: own(metrics.itemErrors, "SampleCount") },
      {
        id: "rate",
        expression: `IF(items >= ${fewest}, 100 * errors / items, 0)`,
        label: "not read in %",
        returnData: true,
      },
    ],
  });
  alarm("ModelAwayAlarm", {
    alarmDescription: "Work waits and the model server is away",
    threshold: 0,
    // Longer than a pod takes to load.
    evaluationPeriods: 3,
    ...withoutStat(own(metrics.modelAway, "Sum")),
  });
  alarm("KeyShareAlarm", {
    alarmDescription: `One key used more than ${largeShare} % of the day's model time, others use it too`,
    threshold: largeShare,
    evaluationPeriods: 3,
    ...withoutStat(own(metrics.keyShare, "Maximum")),
  });
  alarm("SecretsExpireAlarm", {
    alarmDescription: `A secret of the stage or an API key ends within ${expiries.warnDays} days`,
    threshold: 0,
    evaluationPeriods: 3,
    ...withoutStat(own(metrics.expiringSecrets, "Maximum")),
  });
}

function slowModelAlarm(alarm: Alarm): void {
  const { stat: _, ...slow } = own(metrics.modelCallMs, "p95");
  alarm("ModelSlowAlarm", {
    alarmDescription: `One model call in twenty takes longer than ${slowModelMs / 1000} s`,
    threshold: slowModelMs,
    evaluationPeriods: 3,
    ...slow,
    extendedStatistic: "p95",
    // With few calls a percentile is just the slowest call.
    evaluateLowSampleCountPercentiles: "ignore",
  });
}

/** The pod's manager looks each minute, and more often while something is going on. */
function podAlarms(alarm: Alarm): void {
  const on = (name: string, alarmDescription: string, metric: string, evaluationPeriods: number) =>
    alarm(name, { alarmDescription, threshold: 0, evaluationPeriods, ...withoutStat(own(metric, "Sum")) });
  on("PodFailedAlarm", "Work waits and the pod cannot be started", metrics.podFailed, 2);
  on("PodNoCapacityAlarm", "Work waits and no GPU is free for the pod", metrics.podNoCapacity, 3);
  on("PodOrphanAlarm", "The pod is up without work, or cannot be stopped", metrics.podOrphan, 2);
  on("PodBudgetAlarm", "The pod has used up what it may run or cost today", metrics.podBudget, 1);
  on("PodProviderAlarm", "The pod's provider refuses the key or does not answer", metrics.podProvider, 2);
}

/** An alarm on a single metric has `statistic` in place of `stat`. */
function withoutStat<T extends { stat: string }>({ stat, ...rest }: T) {
  return { ...rest, statistic: stat };
}

if ($app.stage === "production" || $app.stage === "staging") {
  const alarm = alarmsOfTopic();
  queueAlarms(alarm);
  failedCallsAlarm(alarm);
  refusedCallsAlarm(alarm);
  clockAlarm(alarm);
  workAlarms(alarm);
  slowModelAlarm(alarm);
  if (process.env.POD_MANAGER === "on") podAlarms(alarm);
  dashboard();
}
