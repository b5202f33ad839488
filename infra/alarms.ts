/** What wakes somebody up. A personal stage has no alarms. */
import { api } from "./api.ts";
import { pairs } from "./queue-resources.ts";
import { queues } from "./queues.ts";
import { pascal } from "./settings.ts";

const period = 60;

function alarms(): void {
  const topic = new sst.aws.SnsTopic("Alarms");
  const email = process.env.ALARM_EMAIL;
  if (email)
    new aws.sns.TopicSubscription("AlarmEmail", { topic: topic.arn, protocol: "email", endpoint: email });

  const alarm = (name: string, args: Omit<aws.cloudwatch.MetricAlarmArgs, "alarmActions" | "okActions">) =>
    new aws.cloudwatch.MetricAlarm(name, {
      treatMissingData: "notBreaching",
      ...args,
      alarmActions: [topic.arn],
      okActions: [topic.arn],
    });

  for (const name of Object.keys(queues) as (keyof typeof queues)[]) {
    const { queue, deadLetters } = pairs[name];
    const metric = (of: sst.aws.Queue, metricName: string, stat: string) => ({
      namespace: "AWS/SQS",
      metricName,
      dimensions: { QueueName: of.nodes.queue.name },
      stat,
      period,
    });
    alarm(`${pascal(name)}DeadLettersAlarm`, {
      alarmDescription: `Messages of the ${name} queue were received too often: docs/operate.md, "Dead letters"`,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      evaluationPeriods: 1,
      ...withoutStat(metric(deadLetters, "ApproximateNumberOfMessagesVisible", "Maximum")),
    });
    // Old messages alone are a long run; old messages that nobody receives are a queue that stands still.
    alarm(`${pascal(name)}StalledAlarm`, {
      alarmDescription: `The ${name} queue holds messages and nobody takes them: docs/operate.md, "A queue stands still"`,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      evaluationPeriods: 5,
      metricQueries: [
        { id: "age", metric: metric(queue, "ApproximateAgeOfOldestMessage", "Maximum") },
        { id: "taken", metric: metric(queue, "NumberOfMessagesReceived", "Sum") },
        {
          id: "stalled",
          expression: "IF(age > 300 AND taken == 0, 1, 0)",
          label: "stalled",
          returnData: true,
        },
      ],
    });
  }
  // Nobody waits for a batch, but somebody polls for a single extract.
  alarm("SingleAgeAlarm", {
    alarmDescription: 'Extracts that were handed over wait: docs/operate.md, "Extracts wait"',
    comparisonOperator: "GreaterThanThreshold",
    threshold: 900,
    evaluationPeriods: 3,
    namespace: "AWS/SQS",
    metricName: "ApproximateAgeOfOldestMessage",
    dimensions: { QueueName: pairs.single.queue.nodes.queue.name },
    statistic: "Maximum",
    period,
  });
  const apiMetric = (metricName: string) => ({
    namespace: "AWS/ApiGateway",
    metricName,
    dimensions: { ApiId: api.nodes.api.id },
    stat: "Sum",
    period: 5 * period,
  });
  alarm("ApiErrorsAlarm", {
    alarmDescription: 'More than 5 % of the calls end in 5xx: docs/operate.md, "Calls fail"',
    comparisonOperator: "GreaterThanThreshold",
    threshold: 5,
    evaluationPeriods: 2,
    metricQueries: [
      { id: "errors", metric: apiMetric("5xx") },
      { id: "calls", metric: apiMetric("Count") },
      // A handful of calls is no rate.
      {
        id: "rate",
        expression: "IF(calls >= 20, 100 * errors / calls, 0)",
        label: "5xx in %",
        returnData: true,
      },
    ],
  });
}

/** An alarm on one metric calls its `stat` a `statistic`. */
function withoutStat<T extends { stat: string }>({ stat, ...rest }: T) {
  return { ...rest, statistic: stat };
}

if ($app.stage === "production" || $app.stage === "staging") alarms();
