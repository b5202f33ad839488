import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { product } from "../local/app.ts";
import * as Wiring from "../local/queue/wiring.ts";
import { ensure, root } from "../scripts/sst-platform.ts";
import * as Tsc from "../scripts/tsc.ts";
import { type FunctionSpec, functions } from "../spec/functions.ts";
import { platform as limits } from "../spec/limits.ts";
import { type QueueSpec, queues, schedules, subscriptionsOf } from "../spec/queues.ts";
import { defaultFunction, deployed, routes } from "../spec/routes.ts";
import { pascal, plain } from "../spec/settings.ts";
import { alarmTests } from "../test/infra/alarm-tests.ts";
import { bucketTests } from "../test/infra/bucket-tests.ts";
import * as IamTable from "../test/infra/iam-table.ts";
import { mappingsOf, resourceOf, resourcesOf, rightsOf } from "../test/infra/looks.ts";
import { pagesTests } from "../test/infra/pages-tests.ts";
import * as SstEnv from "../test/infra/sst-env.ts";
import { environments, type Stage, type Stages, stages } from "../test/infra/stages.ts";
import type { Resource, Synthesis } from "../test/infra/synthesis.ts";

/** The components are 300 MB from the registry. Without them these tests are skipped and counted as skipped. */
const installed = await ensure();
if (!installed)
  console.warn("infra tests are skipped: SST's components are not there and could not be installed");

const specs = Object.entries<FunctionSpec>(functions);
const queueTable: Readonly<Record<string, QueueSpec>> = queues;
const queueSpecs = Object.entries<QueueSpec>(queues);

describe.skipIf(!installed)("what sst deploy would create", () => {
  let all: Stages;
  let production: Synthesis;
  let types: Promise<string>;

  beforeAll(async () => {
    all = await stages();
    ({ production } = all);
    types = tsc();
  }, 300_000);

  const each = (check: (stage: Synthesis, name: Stage) => void) => {
    for (const name of Object.keys(environments) as Stage[]) check(all[name], name);
  };
  const of = (type: string, from = production) => resourcesOf(from, type);
  const named = (type: string, name: string, from = production) => resourceOf(from, type, name);
  const lambda = (name: string) => named("aws:lambda/function:Function", `${pascal(name)}Function`);
  const build = (name: string) => production.builds.find(({ functionID }) => functionID === pascal(name));
  const variables = (name: string) =>
    (lambda(name).inputs.environment as { variables: Record<string, string> }).variables;

  test("the gateway has every route of the route table and $default, each to its function", () => {
    const integrations = new Map(
      of("aws:apigatewayv2/integration:Integration").map(({ name, inputs }) => [
        `integrations/${name}-id`,
        inputs.integrationUri,
      ]),
    );
    const found = of("aws:apigatewayv2/route:Route").map(
      ({ inputs }) => `${inputs.routeKey} → ${JSON.stringify(integrations.get(String(inputs.target)))}`,
    );
    const to = (name: string) => JSON.stringify(functionArn(name));
    expect(found.map((line) => line.replace(/\{"secret":("[^"]*")\}/, "$1")).toSorted()).toEqual(
      [
        ...deployed.map((route) => `${route.method} ${route.path} → ${to(route.function)}`),
        `$default → ${to(defaultFunction)}`,
      ].toSorted(),
    );
  });

  test("the gateway leaves CORS to the functions, is throttled, and logs no query string", () => {
    // Not even an empty one, which AWS takes for "no origin at all".
    expect(named("aws:apigatewayv2/api:Api", "ApiApi").inputs.corsConfiguration).toBeUndefined();
    const { defaultRouteSettings, accessLogSettings } = named(
      "aws:apigatewayv2/stage:Stage",
      "ApiStage",
    ).inputs;
    expect(defaultRouteSettings).toEqual({ throttlingBurstLimit: 200, throttlingRateLimit: 100 });
    expect(JSON.stringify(accessLogSettings)).not.toMatch(/querystring|authorization|\$context\.authorizer/i);
  });

  test("the API has the name that the deploying environment gives it, or AWS's own", () => {
    const names = (stage: Synthesis) =>
      of("aws:apigatewayv2/domainName:DomainName", stage).map(({ inputs }) => inputs.domainName);
    expect([names(all.staging), names(production)]).toEqual([["api.example.com"], []]);
  });

  test("every function has the memory, time, runtime and architecture of functions.ts", () => {
    expect(of("aws:lambda/function:Function")).toHaveLength(specs.length);
    for (const [name, spec] of specs) {
      expect(lambda(name).inputs, name).toMatchObject({
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: spec.memoryMb,
        timeout: spec.timeoutMs / 1000,
      });
      expect(build(name)?.handler).toBe(spec.handler);
      expect(build(name)?.properties).toMatchObject({
        minify: true,
        sourcemap: true,
        splitting: true,
        architecture: "arm64",
      });
    }
  });

  test("a function behind a route ends before the gateway gives up", () => {
    for (const name of new Set([...routes.map((route) => route.function), defaultFunction])) {
      expect(functions[name].timeoutMs).toBeLessThan(limits.gatewayTimeoutMs);
    }
  });

  test("a function is linked to what it asks for and to nothing else", () => {
    const component = {
      database: "Database",
      bucket: "Storage",
      queues: "Queues",
      model: "Model",
      webhook: "Webhook",
      pod: "Pod",
    };
    const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);
    for (const [name, { links }] of specs) {
      const auth = behindRoutes.has(name) && links.includes("database") ? ["Auth"] : [];
      expect(Object.keys(build(name)?.links ?? {}).toSorted(), name).toEqual(
        [...links.map((link) => component[link]), ...auth].toSorted(),
      );
    }
  });

  test("the key of the rented GPU is linked to no function, and is there for `sst shell`", () => {
    for (const [name, { links }] of specs) expect(links, name).not.toContain("pod");
    expect(production.links.Pod?.properties).toMatchObject({ RUNPOD_API_KEY: expect.anything() });
  });

  test("a link's properties are the variables that the configuration reads", () => {
    const { type: _type, ...storage } = build("extract")?.links.Storage ?? {};
    expect(storage).toEqual({
      S3_BUCKET: expect.stringMatching(/^ocrlty-production-/),
      S3_ENDPOINT_URL: "https://account.r2.cloudflarestorage.com",
      S3_REGION: "auto",
      S3_ACCESS_KEY_ID: "canary-S3AccessKeyId",
      S3_SECRET_ACCESS_KEY: "canary-S3SecretAccessKey",
    });
    expect(build("extract")?.links.Queues).toMatchObject({
      SINGLE_QUEUE_URL: expect.stringMatching(/^https:\/\/sqs\./),
      URGENT_QUEUE_URL: expect.stringMatching(/^https:\/\/sqs\./),
    });
    expect(build("extract")?.links.Auth).toMatchObject({ API_KEY_PEPPER: "canary-ApiKeyPepper" });
    expect(build("later")?.links.Webhook).toMatchObject({ WEBHOOK_SECRET: "canary-WebhookSecret" });
  });

  test("no secret is in an environment variable", () => {
    each((stage) => {
      for (const { inputs, name } of of("aws:lambda/function:Function", stage))
        expect(JSON.stringify(inputs), name).not.toContain("canary-");
    });
    expect(variables("extract")).toMatchObject({ OCRLTY_STAGE: "production", VLLM_MODEL: "some/model" });
    expect(variables("docs")).not.toHaveProperty("VLLM_MODEL");
  });

  test("a function's environment has the settings of settings.ts that its links bring, and what SST needs", () => {
    for (const [name, { links }] of specs) {
      const allowed = ["app", ...links].flatMap((link) => plain[link as keyof typeof plain] ?? []);
      const own = Object.keys(variables(name)).filter((variable) => !variable.startsWith("SST_"));
      const others = own.filter((variable) => !(allowed as string[]).includes(variable));
      expect(others.toSorted(), name).toEqual(["NODE_OPTIONS", "OCRLTY_STAGE"]);
      expect(variables(name).NODE_OPTIONS, name).toBe("--enable-source-maps");
    }
  });

  test("every queue is what queues.ts says and encrypted at rest, with a dead-letter queue of the same kind", () => {
    expect(of("aws:sqs/queue:Queue")).toHaveLength(2 * queueSpecs.length);
    for (const [name, spec] of queueSpecs) {
      const common = {
        fifoQueue: spec.fifo,
        contentBasedDeduplication: false,
        visibilityTimeoutSeconds: spec.visibilityTimeoutSeconds,
        messageRetentionSeconds: spec.retentionSeconds,
        sqsManagedSseEnabled: true,
        ...(spec.fifo
          ? { deduplicationScope: "messageGroup", fifoThroughputLimit: "perMessageGroupId" }
          : {}),
      };
      expect(named("aws:sqs/queue:Queue", `${pascal(name)}DeadLettersQueue`).inputs).toMatchObject(common);
      const { inputs } = named("aws:sqs/queue:Queue", `${pascal(name)}QueueQueue`);
      expect(inputs).toMatchObject(common);
      expect(JSON.parse(String(inputs.redrivePolicy))).toEqual({
        deadLetterTargetArn: expect.stringMatching(new RegExp(`${pascal(name)}DeadLetters`)),
        maxReceiveCount: spec.maxReceiveCount,
      });
    }
  });

  test("nothing is deployed that nobody works on, and nobody uses what is not deployed", () => {
    expect(queueSpecs.length).toBeGreaterThan(0);
    for (const [name, { links, sends = [], asks = [] }] of specs) {
      for (const queue of [...sends, ...asks]) expect(Object.keys(queues), name).toContain(queue);
      // The link provides the addresses; workers need them, too.
      const works = queueSpecs.some(([, spec]) => spec.subscription.function === name);
      if (sends.length + asks.length > 0 || works) expect(links, name).toContain("queues");
    }
    for (const [name, spec] of queueSpecs)
      for (const { function: worker } of subscriptionsOf(spec)) expect(worker in functions, name).toBe(true);
  });

  test("whoever works on a queue is called as queues.ts says, and has its time and 30 s more before a message comes back", () => {
    const mappings = mappingsOf(production);
    for (const [name, { subscription, deadLetter, ...queue }] of queueSpecs) {
      const workers = [
        { ...subscription, from: `${pascal(name)}QueueQueue` },
        ...(deadLetter === undefined ? [] : [{ ...deadLetter, from: `${pascal(name)}DeadLettersQueue` }]),
      ];
      for (const { function: worker, from, batchSize, partialResponses } of workers) {
        expect(mappings.get(from), from).toMatchObject({
          functionName: functionArn(worker),
          batchSize,
          functionResponseTypes: ["ReportBatchItemFailures"],
        });
        // Without it the message of a reported failure is deleted.
        expect(partialResponses, from).toBe(true);
        const { timeoutMs } = functions[worker as keyof typeof functions];
        expect(queue.visibilityTimeoutSeconds * 1000, from).toBeGreaterThanOrEqual(timeoutMs + 30_000);
      }
    }
  });

  test("every stage has the routes, sizes, queues and clocks that the local loop runs", () => {
    each((stage, name) => {
      const wiring = Wiring.plan(
        { queues: product.queues ?? {}, schedules: product.schedules ?? {} },
        product.functions,
        environments[name],
      );
      expect(
        of("aws:apigatewayv2/route:Route", stage)
          .map(({ inputs }) => inputs.routeKey)
          .toSorted(),
      ).toEqual(
        [...product.table.routes.map(({ method, path }) => `${method} ${path}`), "$default"].toSorted(),
      );
      expect(of("aws:lambda/function:Function", stage).map(sizeOf).toSorted()).toEqual(
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
        const { inputs } = named("aws:sqs/queue:Queue", `${pascal(queue)}QueueQueue`, stage);
        expect(inputs).toMatchObject({
          fifoQueue: spec?.fifo,
          visibilityTimeoutSeconds: spec?.visibilityTimeoutSeconds,
          messageRetentionSeconds: spec?.retentionSeconds,
        });
        expect(JSON.parse(String(inputs.redrivePolicy)).maxReceiveCount).toBe(spec?.maxReceiveCount);
      }
      const clocks = of("aws:scheduler/schedule:Schedule", stage).map(({ inputs }) => {
        const target = inputs.target as { secret?: { arn: string }; arn?: string };
        return [target.secret?.arn ?? target.arn, inputs.scheduleExpression, inputs.state];
      });
      expect(clocks).toEqual(
        Object.values(wiring.schedules).map(({ function: called, rate }) => [
          functionArn(called),
          rate,
          "ENABLED",
        ]),
      );
    });
  });

  test("messages that order further messages are no loop to Lambda, for whoever works on a queue and for nobody else", () => {
    each((stage, name) => {
      const workers = new Set([...mappingsOf(stage).values()].map(({ functionName }) => functionName));
      const configs = of("aws:lambda/functionRecursionConfig:FunctionRecursionConfig", stage);
      expect(
        configs.map(({ inputs }) => [arnOf(inputs.functionName), inputs.recursiveLoop]).toSorted(),
        name,
      ).toEqual([...workers].map((arn) => [arn, "Allow"]).toSorted());
    });
  });

  test("what the clock calls is neither repeated by Lambda nor kept for later", () => {
    each((stage, name) => {
      const found = of("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", stage);
      expect(
        found.map(({ inputs: { functionName, maximumRetryAttempts, maximumEventAgeInSeconds } }) => [
          ...[arnOf(functionName), maximumRetryAttempts, maximumEventAgeInSeconds],
        ]),
        name,
      ).toEqual(Object.values(schedules).map((schedule) => [functionArn(schedule.function), 0, 60]));
      for (const { inputs } of of("aws:scheduler/schedule:Schedule", stage))
        expect(JSON.stringify(inputs.target), name).toContain('"maximumRetryAttempts":0');
    });
  });

  test("source maps name files and lines, and hold no sources, which each cold start would read", () => {
    expect(production.builds).toHaveLength(specs.length);
    for (const { handler, maps } of production.builds) {
      expect(maps.length, handler).toBeGreaterThan(0);
      for (const map of maps) expect(map, handler).toEqual(["mappings", "names", "sources", "version"]);
    }
  });

  test("instances are reserved as the setting says, and not at all without it", () => {
    const found = (stage: Synthesis) =>
      of("aws:lambda/function:Function", stage)
        .filter(({ inputs }) => inputs.reservedConcurrentExecutions !== undefined)
        .map(({ name, inputs }) => `${name} ${inputs.reservedConcurrentExecutions}`)
        .toSorted();
    expect(found(all.staging)).toEqual(["ReconcileFunction 1", "SingleFunction 4"]);
    expect(found(production)).toEqual([]);
  });

  test("a function may send to the queues that functions.ts names, work on its own, write its own log, and nothing else", () => {
    for (const [name, { sends = [], asks = [] }] of specs) {
      const role = named("aws:iam/role:Role", `${pascal(name)}Role`).inputs;
      expect(JSON.stringify(role.assumeRolePolicy), name).not.toContain(":root");
      const queue = (of: string, kind = "Queue") =>
        `:ocrlty-production-${pascal(of)}${kind}Queue${queueTable[of]?.fifo ? ".fifo" : ""}`;
      const own = queueSpecs
        .filter(([, spec]) => spec.subscription.function === name)
        .map(([of]) => queue(of));
      const dead = queueSpecs.filter(([, spec]) => spec.deadLetter?.function === name);
      const takes = [...own, ...dead.map(([of]) => queue(of, "DeadLetters"))];
      const take = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
      expect(rightsOf(production, pascal(name))).toEqual(
        [
          ...sends.map((of) => `sqs:SendMessage ${queue(of)}`),
          ...asks.map((of) => `sqs:GetQueueAttributes ${queue(of)}`),
          ...takes.flatMap((arn) => take.map((action) => `${action} ${arn}`)),
          ...own.map((arn) => `sqs:ChangeMessageVisibility ${arn}`),
          ...["CreateLogStream", "PutLogEvents"].map(
            (action) => `logs:${action} :log-group:/aws/lambda/ocrlty-production-${name}:*`,
          ),
        ].toSorted(),
      );
    }
  });

  test("no role of any stage is given AWS's own policies, or a resource with a * but the streams of its log", () => {
    each((stage, name) => {
      const found = IamTable.statements(stage);
      expect(found.length, name).toBeGreaterThan(specs.length);
      const wide = found.flatMap(({ resources }) => resources.filter((arn) => arn.includes("*")));
      expect(
        wide.filter((arn) => !/^arn:aws:logs:[\w-]+:\d+:log-group:[\w/-]+:\*$/.test(arn)),
        name,
      ).toEqual([]);
      expect(
        found.flatMap(({ managed }) => managed),
        name,
      ).toEqual([]);
    });
  });

  test("docs/security.md has the table of these rights (npm test -- infra -u writes it)", async () => {
    const path = join(root, "docs", "security.md");
    const text = fs.readFileSync(path, "utf8").replaceAll("\r\n", "\n");
    const [before = "", rest] = text.split("<!-- iam:begin -->");
    const after = rest?.split("<!-- iam:end -->")[1];
    expect(after, "the marks of the table").toBeDefined();
    const table = IamTable.render(IamTable.statements(production));
    await expect(`${before}<!-- iam:begin -->\n${table}\n<!-- iam:end -->${after}`).toMatchFileSnapshot(path);
  });

  test("sst-env.d.ts is what SST would write, whatever the stage (npm test -- infra -u writes it)", async () => {
    const text = SstEnv.render(production.links);
    each((stage, name) => expect(SstEnv.render(stage.links), name).toBe(text));
    expect(text).not.toContain("canary-");
    await expect(text).toMatchFileSnapshot(join(root, "sst-env.d.ts"));
  });

  test("production is protected and keeps its bucket; other stages are gone when they are removed", () => {
    expect(production.app).toMatchObject({ protect: true, removal: "retain" });
    const kept = (stage: Synthesis) =>
      stage.resources.filter(({ retained }) => retained).map(({ type }) => type);
    expect(kept(production)).toEqual(["cloudflare:index/r2Bucket:R2Bucket"]);
    for (const stage of [all.staging, all.anna]) {
      expect(stage.app).toMatchObject({ protect: false, removal: "remove" });
      expect(kept(stage)).toEqual([]);
    }
  });

  test("everything that a stage creates is named after it, so that a role of another stage cannot reach it", () => {
    const named =
      /^aws:(lambda\/function|iam\/role|sqs\/queue|sns\/topic|cloudwatch|scheduler|apigatewayv2\/api):?\//;
    each((stage, stageName) => {
      const names = stage.resources.flatMap(({ type, inputs }) => {
        const kind = type.replace(/:[^:]+$/, "/");
        const name = inputs.name ?? inputs.dashboardName;
        return named.test(kind) && typeof name === "string" ? [name] : [];
      });
      expect(names.length).toBeGreaterThan(2 * specs.length + 2 * queueSpecs.length);
      for (const name of names) expect(name).toMatch(new RegExp(`(^|/)ocrlty-${stageName}(-|$)`));
    });
  });

  test("a personal stage lacks alarms, dashboard and what was not asked for, and nothing else", () => {
    const optional =
      /sns|metricAlarm|logMetricFilter|dashboard|R2BucketCors|certificate|domainName|apiMapping|route53|dynamic/i;
    const kinds = (stage: Synthesis) =>
      [...new Set(stage.resources.map(({ type }) => type))].filter((type) => !optional.test(type)).toSorted();
    expect(kinds(all.anna)).toEqual(kinds(production));
    expect(kinds(all.staging)).toEqual(kinds(production));
    expect(all.anna.resources.filter(({ type }) => optional.test(type))).toEqual([]);
  });

  test("under sst dev a personal stage has the same routes, queues, clocks and rights, and runs its functions where it was started", () => {
    const { anna, live } = all;
    const shape = (stage: Synthesis) =>
      [
        ...of("aws:apigatewayv2/route:Route", stage).map(({ inputs }) => inputs.routeKey),
        ...of("aws:sqs/queue:Queue", stage).map(
          ({ name, inputs }) => `${name} ${inputs.visibilityTimeoutSeconds}`,
        ),
        ...[...mappingsOf(stage)].map(
          ([from, { functionName, batchSize }]) => `${from} ${functionName} ${batchSize}`,
        ),
        ...of("aws:scheduler/schedule:Schedule", stage).map(({ inputs }) => inputs.scheduleExpression),
        ...of("aws:lambda/function:Function", stage).map(sizeOf),
      ].toSorted();
    expect(shape(live)).toEqual(shape(anna));
    // What SST runs on this machine: the same handlers with the same links.
    const run = (stage: Synthesis) =>
      stage.builds.map(({ handler, links }) => [handler, Object.keys(links).toSorted()]).toSorted();
    expect(run(live)).toEqual(run(anna));
    for (const [name] of specs) {
      // A person who runs `sst dev` takes the function's role.
      const role = named("aws:iam/role:Role", `${pascal(name)}Role`, live).inputs;
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

  test("logs are kept for a month, each function's in a group of its own, as the lines that it printed", () => {
    each((stage, stageName) => {
      for (const [name] of specs)
        expect(
          named("aws:lambda/function:Function", `${pascal(name)}Function`, stage).inputs.loggingConfig,
        ).toEqual({ logFormat: "Text", logGroup: `/aws/lambda/ocrlty-${stageName}-${name}` });
      const groups = of("aws:cloudwatch/logGroup:LogGroup", stage);
      expect(groups).toHaveLength(specs.length + 1);
      for (const { inputs, name } of groups) expect(inputs.retentionInDays, name).toBe(30);
    });
  });

  bucketTests(() => all);
  pagesTests(() => all);
  alarmTests(() => all);

  test("sst.config.ts and infra/ have right types, units included", async () => {
    expect(await types).toBe("");
  }, 120_000);
});

function functionArn(name: string): string {
  return `arn:aws:lambda:us-east-1:123456789012:function:${pascal(name)}Function`;
}

/**
 * The same from the name in a stage, such as `ocrlty-production-PlanFunction-abcdefgh`, which SST treats as a secret.
 */
function arnOf(name: unknown): string {
  const text = typeof name === "object" && name !== null && "secret" in name ? name.secret : name;
  return functionArn(/^ocrlty-\w+-(\w+)Function-\w+$/.exec(String(text))?.[1] ?? String(text));
}

const sizeOf = ({ name, inputs }: Resource) => `${name} ${inputs.timeout} s`;

function tsc(): Promise<string> {
  const program = join(root, "node_modules", "typescript", "bin", "tsc");
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...Tsc.flags("infra"), "--project", join(root, "infra")],
      { cwd: root },
      (error, stdout) => resolve(error === null ? "" : stdout || error.message),
    );
  });
}
