import { expect, test } from "vitest";
import { product } from "#local/app";
import * as Wiring from "#local/queue/wiring";
import { type FunctionSpec, functions } from "#spec/functions";
import { type QueueSpec, queues, schedules } from "#spec/queues";
import { pascal } from "#spec/settings";
import {
  arnOf,
  eachStage,
  functionArn,
  mappingsOf,
  resourceOf,
  resourcesOf,
  rightsOf,
  sizeOf,
} from "./looks.ts";
import * as SstEnv from "./sst-env.ts";
import { environments, type Stages } from "./stages.ts";
import type { Synthesis } from "./synthesis.ts";

const specs = Object.entries<FunctionSpec>(functions);
const queueSpecs = Object.entries<QueueSpec>(queues);

/**
 * The tests that compare stages with each other, with the local loop and with `sst dev`. infra.test.ts runs them, so
 * that the stages are made once.
 */
export function stageTests(stages: () => Stages): void {
  loopTests(stages);
  lambdaTests(stages);
  nameTests(stages);
  devTests(stages);
}

/** What a stage and the local loop have in common. */
function loopTests(stages: () => Stages): void {
  test("every stage has the routes, sizes, queues and clocks that the local loop runs", () => {
    eachStage(stages(), (stage, name) => {
      const wiring = Wiring.plan(
        { queues: product.queues ?? {}, schedules: product.schedules ?? {} },
        product.functions,
        environments[name],
      );
      expect(
        resourcesOf(stage, "aws:apigatewayv2/route:Route")
          .map(({ inputs }) => inputs.routeKey)
          .toSorted(),
      ).toEqual(
        [...product.table.routes.map(({ method, path }) => `${method} ${path}`), "$default"].toSorted(),
      );
      expect(resourcesOf(stage, "aws:lambda/function:Function").map(sizeOf).toSorted()).toEqual(
        Object.entries(product.functions)
          .map(([fn, { timeoutMs }]) => `${pascal(fn)}Function ${timeoutMs / 1000} s`)
          .toSorted(),
      );
      // The mappings: function, batch size, concurrency.
      const wanted = wiring.subscriptions.map(({ queue, deadLetter, subscription }) => [
        `${pascal(queue)}${deadLetter ? "DeadLetters" : "Queue"}Queue`,
        functionArn(subscription.function),
        subscription.batchSize,
        subscription.maxConcurrency,
      ]);
      const found = [...mappingsOf(stage)].map(([from, inputs]) => [
        from,
        inputs.functionName,
        inputs.batchSize,
        (inputs.scalingConfig as { maximumConcurrency: number }).maximumConcurrency,
      ]);
      expect(found.toSorted()).toEqual(wanted.toSorted());
      // The queues behind them: visibility and redrive.
      for (const queue of new Set(wiring.subscriptions.map((one) => one.queue))) {
        const spec = wiring.queues[queue];
        const { inputs } = resourceOf(stage, "aws:sqs/queue:Queue", `${pascal(queue)}QueueQueue`);
        expect(inputs).toMatchObject({
          fifoQueue: spec?.fifo,
          visibilityTimeoutSeconds: spec?.visibilityTimeoutSeconds,
          messageRetentionSeconds: spec?.retentionSeconds,
        });
        expect(JSON.parse(String(inputs.redrivePolicy)).maxReceiveCount).toBe(spec?.maxReceiveCount);
      }
      const clocks = resourcesOf(stage, "aws:scheduler/schedule:Schedule").map(({ inputs }) => {
        const target = inputs.target as { secret?: { arn: string }; arn?: string };
        return [target.secret?.arn ?? target.arn, inputs.scheduleExpression, inputs.state];
      });
      expect(clocks.toSorted()).toEqual(
        Object.values(wiring.schedules)
          .map(({ function: called, rate }) => [functionArn(called), rate, "ENABLED"])
          .toSorted(),
      );
    });
  });
}

/** How Lambda treats what queues and the clock start. */
function lambdaTests(stages: () => Stages): void {
  test("Lambda allows messages that order further messages for every worker of a queue, and for no other function", () => {
    eachStage(stages(), (stage, name) => {
      const workers = new Set([...mappingsOf(stage).values()].map(({ functionName }) => functionName));
      const configs = resourcesOf(stage, "aws:lambda/functionRecursionConfig:FunctionRecursionConfig");
      expect(
        configs.map(({ inputs }) => [arnOf(inputs.functionName), inputs.recursiveLoop]).toSorted(),
        name,
      ).toEqual([...workers].map((arn) => [arn, "Allow"]).toSorted());
    });
  });

  test("a scheduled call is neither repeated by Lambda nor kept for later", () => {
    eachStage(stages(), (stage, name) => {
      const found = resourcesOf(stage, "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig");
      expect(
        found
          .map(({ inputs: { functionName, maximumRetryAttempts, maximumEventAgeInSeconds } }) => [
            ...[arnOf(functionName), maximumRetryAttempts, maximumEventAgeInSeconds],
          ])
          .toSorted(),
        name,
      ).toEqual(
        Object.values(schedules)
          .map((schedule) => [functionArn(schedule.function), 0, 60])
          .toSorted(),
      );
      for (const { inputs } of resourcesOf(stage, "aws:scheduler/schedule:Schedule"))
        expect(JSON.stringify(inputs.target), name).toContain('"maximumRetryAttempts":0');
    });
  });
}

/** The differences between stages. */
function nameTests(stages: () => Stages): void {
  test("production is protected and keeps its bucket; other stages are removed completely", () => {
    const { production, staging, anna } = stages();
    expect(production.app).toMatchObject({ protect: true, removal: "retain" });
    const kept = (stage: Synthesis) =>
      stage.resources.filter(({ retained }) => retained).map(({ type }) => type);
    expect(kept(production)).toEqual(["cloudflare:index/r2Bucket:R2Bucket"]);
    for (const stage of [staging, anna]) {
      expect(stage.app).toMatchObject({ protect: false, removal: "remove" });
      expect(kept(stage)).toEqual([]);
    }
  });

  test("everything that a stage creates is named after it, so that a role of another stage cannot reach it", () => {
    const named =
      /^aws:(lambda\/function|iam\/role|sqs\/queue|sns\/topic|cloudwatch|scheduler|apigatewayv2\/api):?\//;
    eachStage(stages(), (stage, stageName) => {
      const names = stage.resources.flatMap(({ type, inputs }) => {
        const kind = type.replace(/:[^:]+$/, "/");
        const name = inputs.name ?? inputs.dashboardName;
        return named.test(kind) && typeof name === "string" ? [name] : [];
      });
      expect(names.length).toBeGreaterThan(2 * specs.length + 2 * queueSpecs.length);
      for (const name of names) expect(name).toMatch(new RegExp(`(^|/)ocrlty-${stageName}(-|$)`));
    });
  });

  test("a personal stage has everything except alarms, the dashboard and resources that were not requested", () => {
    const { production, staging, anna } = stages();
    const optional =
      /sns|metricAlarm|logMetricFilter|dashboard|R2BucketCors|certificate|domainName|apiMapping|route53|dynamic/i;
    const kinds = (stage: Synthesis) =>
      [...new Set(stage.resources.map(({ type }) => type))].filter((type) => !optional.test(type)).toSorted();
    expect(kinds(anna)).toEqual(kinds(production));
    expect(kinds(staging)).toEqual(kinds(production));
    expect(anna.resources.filter(({ type }) => optional.test(type))).toEqual([]);
  });
}

/** A personal stage under `sst dev`. */
function devTests(stages: () => Stages): void {
  test("under sst dev a personal stage has the same routes, queues, clocks and rights, and runs its functions where it was started", () => {
    const { anna, live } = stages();
    const shape = (stage: Synthesis) =>
      [
        ...resourcesOf(stage, "aws:apigatewayv2/route:Route").map(({ inputs }) => inputs.routeKey),
        ...resourcesOf(stage, "aws:sqs/queue:Queue").map(
          ({ name, inputs }) => `${name} ${inputs.visibilityTimeoutSeconds}`,
        ),
        ...[...mappingsOf(stage)].map(
          ([from, { functionName, batchSize }]) => `${from} ${functionName} ${batchSize}`,
        ),
        ...resourcesOf(stage, "aws:scheduler/schedule:Schedule").map(
          ({ inputs }) => inputs.scheduleExpression,
        ),
        ...resourcesOf(stage, "aws:lambda/function:Function").map(sizeOf),
      ].toSorted();
    expect(shape(live)).toEqual(shape(anna));
    // What SST runs on this machine: the same handlers with the same links.
    const run = (stage: Synthesis) =>
      stage.builds.map(({ handler, links }) => [handler, Object.keys(links).toSorted()]).toSorted();
    expect(run(live)).toEqual(run(anna));
    for (const [name] of specs) {
      // A person who runs `sst dev` takes the function's role.
      const role = resourceOf(live, "aws:iam/role:Role", `${pascal(name)}Role`).inputs;
      expect(JSON.stringify(role.assumeRolePolicy), name).toContain(":root");
      // The stub in AWS talks to this machine; its other rights are those of a deployed function.
      const rights = rightsOf(live, pascal(name));
      expect(rights).toEqual(expect.arrayContaining(rightsOf(anna, pascal(name))));
      expect(rights.filter((right) => right.startsWith("sqs:"))).toEqual(
        rightsOf(anna, pascal(name)).filter((right) => right.startsWith("sqs:")),
      );
    }
    expect(SstEnv.render(live.links)).toBe(SstEnv.render(anna.links));
  });
}
