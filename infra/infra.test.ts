import { execFile } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bundle, bundle } from "../local/bundle.ts";
import { type FunctionSpec, functions, platform as limits } from "./limits.ts";
import { type QueueSpec, queues, type ScheduleSpec, schedules } from "./queues.ts";
import { defaultFunction, routes } from "./routes.ts";
import { pascal, secrets } from "./settings.ts";
import { ensure, root } from "./testing/platform.ts";
import { type Resource, type Synthesis, synthesize } from "./testing/synthesis.ts";

/** The components are 300 MB from the registry: without it these tests are skipped, and counted as that. */
const installed = await ensure();
if (!installed)
  console.warn("infra tests are skipped: SST's components are not there and could not be installed");

const specs = Object.entries<FunctionSpec>(functions);
const queueSpecs = Object.entries<QueueSpec>(queues);
const handlers = Object.fromEntries(specs.map(([name, { handler }]) => [name, handler]));

/** Values that may appear nowhere but in the links. */
const canaries = Object.fromEntries(
  Object.values(secrets).map(({ secret }) => [`SST_SECRET_${secret}`, `canary-${secret}`]),
);

describe.skipIf(!installed)("what sst deploy would create", () => {
  let bundled: Bundle;
  let production: Synthesis;
  let personal: Synthesis;

  beforeAll(async () => {
    bundled = await bundle({ handlers, minify: true });
    const options = { bundle: bundled, handlers };
    const env = {
      ...canaries,
      CLOUDFLARE_DEFAULT_ACCOUNT_ID: "account",
      CORS_ALLOW_ORIGINS: "https://app.example.com",
      ITEM_MAX_CONCURRENCY: "24",
      VLLM_MODEL: "some/model",
      ALARM_EMAIL: "ops@example.com",
    };
    [production, personal] = await Promise.all([
      synthesize({ ...options, stage: "production", env }),
      synthesize({
        ...options,
        stage: "anna",
        env: { ...canaries, CLOUDFLARE_DEFAULT_ACCOUNT_ID: "account" },
      }),
    ]);
  }, 120_000);
  afterAll(() => bundled?.release());

  const of = (type: string, from = production) => from.resources.filter((resource) => resource.type === type);
  const named = (type: string, name: string, from = production): Resource => {
    const found = of(type, from).find((resource) => resource.name === name);
    if (found === undefined) throw new Error(`there is no ${type} ${name}`);
    return found;
  };
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
        ...routes.map((route) => `${route.method} ${route.path} → ${to(route.function)}`),
        `$default → ${to(defaultFunction)}`,
      ].toSorted(),
    );
  });

  test("the gateway leaves CORS to the functions, is throttled, and logs no query string", () => {
    expect(named("aws:apigatewayv2/api:Api", "ApiApi").inputs.corsConfiguration).toEqual({});
    const { defaultRouteSettings, accessLogSettings } = named(
      "aws:apigatewayv2/stage:Stage",
      "ApiStage",
    ).inputs;
    expect(defaultRouteSettings).toEqual({ throttlingBurstLimit: 200, throttlingRateLimit: 100 });
    expect(JSON.stringify(accessLogSettings)).not.toMatch(/querystring|authorization|\$context\.authorizer/i);
  });

  test("every function has the memory, time, runtime and architecture of limits.ts", () => {
    expect(of("aws:lambda/function:Function")).toHaveLength(specs.length);
    for (const [name, spec] of specs) {
      expect(lambda(name).inputs, name).toMatchObject({
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: spec.memoryMb,
        timeout: spec.timeoutMs / 1000,
      });
      expect(build(name)?.handler).toBe(spec.handler);
      expect(build(name)?.properties).toMatchObject({ minify: true, sourcemap: true, architecture: "arm64" });
    }
  });

  test("a function behind a route ends before the gateway gives up", () => {
    for (const name of new Set([...routes.map((route) => route.function), defaultFunction])) {
      expect(functions[name].timeoutMs).toBeLessThan(limits.gatewayTimeoutMs);
    }
  });

  test("a function is linked to what it asks for and to nothing else", () => {
    const component = { database: "Database", bucket: "Storage", queues: "Queues", model: "Model" };
    const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);
    for (const [name, { links }] of specs) {
      const auth = behindRoutes.has(name) && links.includes("database") ? ["Auth"] : [];
      expect(Object.keys(build(name)?.links ?? {}).toSorted(), name).toEqual(
        [...links.map((link) => component[link]), ...auth].toSorted(),
      );
    }
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
      LATER_QUEUE_URL: expect.stringMatching(/^https:\/\/sqs\./),
    });
    expect(build("extract")?.links.Auth).toMatchObject({ API_KEY_PEPPER: "canary-ApiKeyPepper" });
  });

  test("no secret is in an environment variable", () => {
    for (const { inputs, name } of of("aws:lambda/function:Function")) {
      expect(JSON.stringify(inputs), name).not.toContain("canary-");
    }
    expect(variables("extract")).toMatchObject({ OCRLTY_STAGE: "production", VLLM_MODEL: "some/model" });
    expect(variables("docs")).not.toHaveProperty("VLLM_MODEL");
  });

  test("packages with native parts are installed beside exactly the bundles that import them", async () => {
    for (const [name, spec] of specs) {
      const source = await import("node:fs/promises").then((fs) =>
        fs.readFile(bundled.functions[name]?.file ?? "", "utf8"),
      );
      const imported = /from\s*"sharp"|import\(\s*"sharp"|require\("sharp"\)/.test(source) ? ["sharp"] : [];
      expect([...(spec.install ?? [])], name).toEqual(imported);
      expect(Object.keys((build(name)?.properties.install as object | undefined) ?? {}), name).toEqual(
        imported,
      );
    }
  });

  test("every queue is what queues.ts says, with a dead-letter queue of the same kind", () => {
    expect(of("aws:sqs/queue:Queue")).toHaveLength(2 * queueSpecs.length);
    for (const [name, spec] of queueSpecs) {
      const common = {
        fifoQueue: spec.fifo,
        contentBasedDeduplication: false,
        visibilityTimeoutSeconds: spec.visibilityTimeoutSeconds,
        messageRetentionSeconds: spec.retentionSeconds,
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

  test("whoever works on a queue is called as queues.ts says, and has six times its time before a message comes back", () => {
    const mappings = of("aws:lambda/eventSourceMapping:EventSourceMapping").map(({ inputs }) => ({
      ...inputs,
      functionName: (inputs.functionName as { secret?: string }).secret ?? inputs.functionName,
    }));
    const wanted = queueSpecs.flatMap(([name, { subscription, deadLetter, ...queue }]) =>
      [
        { ...subscription, from: `${pascal(name)}QueueQueue`, queue },
        { ...deadLetter, from: `${pascal(name)}DeadLettersQueue`, queue },
      ].filter(({ function: worker }) => worker in functions),
    );
    expect(wanted.length).toBeGreaterThan(0);
    expect(mappings).toHaveLength(wanted.length);
    for (const {
      function: worker,
      from,
      batchSize,
      maxConcurrency,
      maxConcurrencySetting,
      partialResponses,
      queue,
    } of wanted) {
      const mapping = mappings.find((one) =>
        new RegExp(`-${from}(\\.fifo)?$`).test(String((one as Record<string, unknown>).eventSourceArn)),
      );
      expect(mapping, from).toMatchObject({
        functionName: functionArn(worker),
        batchSize,
        functionResponseTypes: partialResponses ? ["ReportBatchItemFailures"] : [],
        scalingConfig: {
          maximumConcurrency: maxConcurrencySetting === "ITEM_MAX_CONCURRENCY" ? 24 : maxConcurrency,
        },
      });
      // Without it a reported failure is deleted.
      expect(partialResponses, from).toBe(true);
      const { timeoutMs } = functions[worker as keyof typeof functions];
      expect(queue.visibilityTimeoutSeconds * 1000).toBeGreaterThanOrEqual(6 * timeoutMs);
    }
  });

  test("the clock calls what queues.ts says", () => {
    const found = of("aws:scheduler/schedule:Schedule").map(({ inputs }) => {
      const target = inputs.target as { secret?: { arn: string }; arn?: string };
      return { arn: target.secret?.arn ?? target.arn, rate: inputs.scheduleExpression, state: inputs.state };
    });
    expect(found).toEqual(
      Object.values<ScheduleSpec>(schedules)
        .filter(({ function: called }) => called in functions)
        .map(({ function: called, rate }) => ({ arn: functionArn(called), rate, state: "ENABLED" })),
    );
  });

  test("a function may do nothing in AWS but send to our queues and work on its own", () => {
    const statements = (name: string) => {
      const { inlinePolicies } = named("aws:iam/role:Role", `${pascal(name)}Role`).inputs as {
        inlinePolicies?: { policy: string }[];
      };
      return (inlinePolicies ?? []).flatMap(
        ({ policy }) =>
          (JSON.parse(policy) as { statements: { actions: string[]; resources: string[] }[] }).statements,
      );
    };
    const allowed =
      /^sqs:(SendMessage|GetQueueAttributes|ReceiveMessage|DeleteMessage|ChangeMessageVisibility)$/;
    for (const [name, { links }] of specs) {
      const all = statements(name);
      for (const { actions, resources } of all) {
        expect(
          actions.filter((action) => !allowed.test(action)),
          name,
        ).toEqual([]);
        expect(
          resources.filter((resource) => resource.includes("*")),
          name,
        ).toEqual([]);
      }
      const sends = all.some(({ actions }) => actions.includes("sqs:SendMessage"));
      expect(sends, name).toBe(links.includes("queues"));
      const receives = all
        .filter(({ actions }) => actions.includes("sqs:ReceiveMessage"))
        .flatMap(({ resources }) => resources);
      const own = queueSpecs.flatMap(([queue, spec]) => [
        ...(spec.subscription.function === name ? [`${pascal(queue)}Queue`] : []),
        ...(spec.deadLetter.function === name ? [`${pascal(queue)}DeadLetters`] : []),
      ]);
      expect(receives.length, name).toBe(own.length);
      const { assumeRolePolicy } = named("aws:iam/role:Role", `${pascal(name)}Role`).inputs;
      expect(JSON.stringify(assumeRolePolicy), name).not.toContain(":root");
    }
  });

  test("production is protected and keeps what it has; a personal stage is gone when it is removed, and rings nowhere", () => {
    expect(production.app).toMatchObject({ protect: true, removal: "retain" });
    expect(personal.app).toMatchObject({ protect: false, removal: "remove" });
    expect(of("aws:cloudwatch/metricAlarm:MetricAlarm", personal)).toEqual([]);
    expect(of("aws:sns/topicSubscription:TopicSubscription")).toMatchObject([
      { inputs: { endpoint: "ops@example.com" } },
    ]);
    const kinds = (stage: Synthesis) =>
      new Set(
        stage.resources
          .map(({ type }) => type)
          .filter((type) => !/sns|SnsTopic|metricAlarm|R2BucketCors/.test(type)),
      );
    expect(kinds(personal)).toEqual(kinds(production));
  });

  test("every queue has an alarm for dead letters and one for standing still, each with somebody to tell", () => {
    const alarms = of("aws:cloudwatch/metricAlarm:MetricAlarm");
    const names = alarms.map(({ name }) => name);
    for (const [name] of queueSpecs) {
      expect(names).toContain(`${pascal(name)}DeadLettersAlarm`);
      expect(names).toContain(`${pascal(name)}StalledAlarm`);
    }
    for (const { name, inputs } of alarms) expect(inputs.alarmActions, name).toHaveLength(1);
  });

  test("the bucket takes uploads from the allowed origins and drops what was never finished", () => {
    expect(JSON.stringify(of("cloudflare:index/r2BucketLifecycle:R2BucketLifecycle")[0]?.inputs)).toContain(
      "abortMultipartUploads",
    );
    const [cors] = of("cloudflare:index/r2BucketCors:R2BucketCors");
    expect(cors?.inputs.rules).toMatchObject([
      { allowed: { methods: ["PUT", "GET"], origins: ["https://app.example.com"] } },
    ]);
    expect(of("cloudflare:index/r2BucketCors:R2BucketCors", personal)).toEqual([]);
  });

  test("sst.config.ts and infra/ have right types, units included", async () => {
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const said = await new Promise<string>((resolve) => {
      execFile(
        process.execPath,
        [tsc, "--noEmit", "--project", join(root, "infra")],
        { cwd: root },
        (error, stdout) => resolve(error === null ? "" : stdout),
      );
    });
    expect(said).toBe("");
  }, 60_000);
});

function functionArn(name: string): string {
  return `arn:aws:lambda:us-east-1:123456789012:function:${pascal(name)}Function`;
}
