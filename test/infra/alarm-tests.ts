import { expect, test } from "vitest";
import { functions } from "#spec/functions";
import { metrics, namespace, refusedCalls, service } from "#spec/metrics";
import { type QueueSpec, queues } from "#spec/queues";
import { pascal } from "#spec/settings";
import { resourceOf, resourcesOf } from "./looks.ts";
import type { Stages } from "./stages.ts";

const queueSpecs = Object.entries<QueueSpec>(queues);

/** The tests of alarms and the dashboard. infra.test.ts runs them, so that the stages are made once. */
export function alarmTests(stages: () => Stages): void {
  listTests(stages);
  thresholdTests(stages);
  refusedTests(stages);
  dashboardTests(stages);
}

/** Only with POD_MANAGER=on, as production has it. */
const podAlarms = ["Failed", "NoCapacity", "Orphan", "Budget", "Provider"].map((kind) => `Pod${kind}Alarm`);

function listTests(stages: () => Stages): void {
  test("every alarm has a receiver, and names its heading in docs/operate/alarms.md", () => {
    for (const stage of [stages().production, stages().staging]) {
      const alarms = resourcesOf(stage, "aws:cloudwatch/metricAlarm:MetricAlarm");
      expect(alarms.map(({ name }) => name).toSorted()).toEqual(
        [
          ...queueSpecs.flatMap(([name]) => [
            `${pascal(name)}DeadLettersAlarm`,
            `${pascal(name)}StalledAlarm`,
          ]),
          ...[
            "SingleAgeAlarm",
            "ApiErrorsAlarm",
            "ItemErrorsAlarm",
            "ModelSlowAlarm",
            "ModelAwayAlarm",
            "ReconcileAlarm",
            "RefusedCallsAlarm",
            "KeyShareAlarm",
            "SecretsExpireAlarm",
            ...(stage === stages().production ? podAlarms : []),
          ],
        ].toSorted(),
      );
      for (const { name, inputs } of alarms) {
        expect(inputs.alarmActions, name).toHaveLength(1);
        // Once at its start, once at its end.
        expect(inputs.okActions, name).toEqual(inputs.alarmActions);
        expect(inputs, name).toMatchObject({
          comparisonOperator: "GreaterThanThreshold",
          // A missing clock metric means that the clock has stopped; for all other metrics no data means no problem.
          treatMissingData: name === "ReconcileAlarm" ? "breaching" : "notBreaching",
        });
        expect(inputs.alarmDescription, name).toMatch(
          new RegExp(`^[A-Z].+: docs/operate/alarms\\.md, "${name}"$`),
        );
        expect(inputs.name, name).toMatch(new RegExp(`^ocrlty-(production|staging)-${name}$`));
      }
    }
    expect(resourcesOf(stages().production, "aws:sns/topicSubscription:TopicSubscription")).toMatchObject([
      { inputs: { endpoint: "ops@example.com" } },
    ]);
    expect(resourcesOf(stages().staging, "aws:sns/topicSubscription:TopicSubscription")).toEqual([]);
  });
}

function thresholdTests(stages: () => Stages): void {
  test("alarms watch the metric that their name says", () => {
    const alarm = (name: string) =>
      JSON.stringify(resourceOf(stages().production, "aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs);
    expect(alarm("SingleDeadLettersAlarm")).toMatch(/production-SingleDeadLettersQueue.*"threshold":0/);
    // A function receives its dead letters before an alarm could count them.
    expect(alarm("ItemDeadLettersAlarm")).toMatch(/ItemDeadLettersQueue.*NumberOfMessagesReceived.*taken/);
    expect(alarm("SingleStalledAlarm")).toContain(
      "IF(age > 300 AND waiting > 0 AND FILL(taken, 0) == 0, 1, 0)",
    );
    for (const [name, { subscription }] of queueSpecs) {
      const { inputs } = resourceOf(
        stages().production,
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        `${pascal(name)}StalledAlarm`,
      );
      // Minutes: longer than the longest call that may occupy all workers.
      const { timeoutMs } = functions[subscription.function as keyof typeof functions];
      expect(Number(inputs.evaluationPeriods) * 60_000, name).toBe(timeoutMs + 3 * 60_000);
    }
    // The queue itself, without its dead letters.
    expect(alarm("SingleStalledAlarm")).not.toContain("DeadLetters");
    expect(alarm("SingleAgeAlarm")).toContain("ApproximateAgeOfOldestMessage");
    // The numbers in docs/operate/alarms.md: 15 minutes, 5 %, 10 %.
    expect(alarm("SingleAgeAlarm")).toContain('"threshold":900,');
    expect(alarm("ApiErrorsAlarm")).toContain('"threshold":5,');
    expect(alarm("ItemErrorsAlarm")).toContain('"threshold":10,');
    expect(alarm("ItemErrorsAlarm")).toContain(`"metricName":"${metrics.itemErrors}"`);
    expect(alarm("ApiErrorsAlarm")).toContain(
      "IF(calls >= 20 OR (errors >= 3 AND errors == calls), 100 * errors / calls, 0)",
    );
    expect(alarm("ReconcileAlarm")).toMatch(
      /production-ReconcileFunction.*IF\(FILL\(calls, 0\) > FILL\(errors, 0\), 0, 1\)/,
    );
  });

  test("the alarms of the model watch its slowest calls, and probes that fail for a quarter of an hour", () => {
    const alarm = (name: string) =>
      resourceOf(stages().production, "aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs;
    const slow = alarm("ModelSlowAlarm");
    expect(slow).toMatchObject({
      namespace,
      metricName: metrics.modelCallMs,
      dimensions: { service, stage: "production" },
      extendedStatistic: "p95",
      threshold: 20_000,
    });
    expect(slow).not.toHaveProperty("statistic");
    // A probe every 30 s: each of the periods had a failed one, and without waiting work there is none.
    expect(alarm("ModelAwayAlarm")).toMatchObject({
      metricName: metrics.modelAway,
      statistic: "Sum",
      threshold: 0,
      period: 300,
      evaluationPeriods: 3,
      treatMissingData: "notBreaching",
    });
  });
}

function refusedTests(stages: () => Stages): void {
  test("calls with a wrong key or none are counted in the gateway's own log, and one key's share by the clock", () => {
    const { production } = stages();
    const [log] = resourcesOf(production, "aws:cloudwatch/logGroup:LogGroup").filter(
      ({ name }) => name === "ApiAccessLog",
    );
    const filter = resourceOf(
      production,
      "aws:cloudwatch/logMetricFilter:LogMetricFilter",
      "RefusedCalls",
    ).inputs;
    expect(filter).toMatchObject({
      logGroupName: log?.inputs.name,
      pattern: '{ ($.status = "401") || ($.status = 401) }',
      metricTransformation: { namespace: `${namespace}/production`, name: refusedCalls, value: "1" },
    });
    // The field in the pattern, as SST writes the lines: in quotes.
    expect(
      JSON.stringify(resourceOf(production, "aws:apigatewayv2/stage:Stage", "ApiStage").inputs),
    ).toContain(String.raw`\"status\":\"$context.status\",`);
    const alarm = (name: string) =>
      resourceOf(production, "aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs;
    expect(alarm("RefusedCallsAlarm")).toMatchObject({
      ...{ namespace: `${namespace}/production`, metricName: refusedCalls, statistic: "Sum" },
      ...{ threshold: 300, period: 300, evaluationPeriods: 2 },
    });
    expect(alarm("KeyShareAlarm")).toMatchObject({
      ...{ namespace, metricName: metrics.keyShare, statistic: "Maximum" },
      ...{ threshold: 80, period: 300, evaluationPeriods: 3, dimensions: { service, stage: "production" } },
    });
    // Written each minute while items end: three periods that all have a value.
    expect(alarm("SecretsExpireAlarm")).toMatchObject({
      ...{ namespace, metricName: metrics.expiringSecrets, statistic: "Maximum" },
      ...{ threshold: 0, period: 300, evaluationPeriods: 3, dimensions: { service, stage: "production" } },
    });
  });
}

function dashboardTests(stages: () => Stages): void {
  test("the dashboard shows every deployed queue, every function and our own metrics", () => {
    const { dashboardBody } = resourceOf(
      stages().production,
      "aws:cloudwatch/dashboard:Dashboard",
      "Dashboard",
    ).inputs;
    const text = (dashboardBody as { secret?: string }).secret ?? String(dashboardBody);
    const body = JSON.parse(text) as { widgets: { properties: { region: string; metrics: unknown[] } }[] };
    expect(body.widgets.length).toBeLessThanOrEqual(8);
    for (const { properties } of body.widgets) {
      expect(properties.region).toBe("us-east-1");
      expect(properties.metrics.length).toBeGreaterThan(0);
    }
    for (const name of [
      ...Object.values(metrics),
      ...queueSpecs.map(([queue]) => queue),
      ...Object.keys(functions),
    ])
      expect(text).toContain(`"${name}"`);
  });
}
