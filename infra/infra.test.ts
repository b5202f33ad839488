import { execFile } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ensure, root } from "../scripts/sst-platform.ts";
import * as Tsc from "../scripts/tsc.ts";
import { type FunctionSpec, functions } from "../spec/functions.ts";
import { platform as limits } from "../spec/limits.ts";
import { type QueueSpec, queues, subscriptionsOf } from "../spec/queues.ts";
import { defaultFunction, deployed, routes } from "../spec/routes.ts";
import { pascal, plain } from "../spec/settings.ts";
import { alarmTests } from "../test/infra/alarm-tests.ts";
import { bucketTests } from "../test/infra/bucket-tests.ts";
import { eachStage, functionArn, mappingsOf, resourceOf, resourcesOf } from "../test/infra/looks.ts";
import { pagesTests } from "../test/infra/pages-tests.ts";
import { rightsTests } from "../test/infra/rights-tests.ts";
import * as SstEnv from "../test/infra/sst-env.ts";
import { stageTests } from "../test/infra/stage-tests.ts";
import { type Stage, type Stages, stages } from "../test/infra/stages.ts";
import type { Synthesis } from "../test/infra/synthesis.ts";

/** The components are 300 MB from the registry. Without them these tests are skipped and counted as skipped. */
const installed = await ensure();
if (!installed)
  console.warn("infra tests are skipped: SST's components are not there and could not be installed");

const specs = Object.entries<FunctionSpec>(functions);
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

  const each = (check: (stage: Synthesis, name: Stage) => void) => eachStage(all, check);
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
      pod: "Rental",
    };
    const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);
    for (const [name, { links }] of specs) {
      const auth = behindRoutes.has(name) && links.includes("database") ? ["Auth"] : [];
      expect(Object.keys(build(name)?.links ?? {}).toSorted(), name).toEqual(
        [...links.map((link) => component[link]), ...auth].toSorted(),
      );
    }
  });

  test("the keys of rented GPUs are linked to the pod's manager alone, and are there for `sst shell`", () => {
    const withKeys = specs.filter(([, { links }]) => (links as readonly string[]).includes("pod"));
    expect(withKeys.map(([name]) => name)).toEqual(["pod"]);
    expect(production.links.Rental?.properties).toMatchObject({
      RUNPOD_API_KEY: expect.anything(),
      VAST_API_KEY: expect.anything(),
    });
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

  test("every deployed queue has a worker, and every function uses only what is deployed", () => {
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

  test("a queue's worker is called as queues.ts says, and a message comes back 30 s after the worker's time limit at the earliest", () => {
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

  test("sst-env.d.ts is what SST would write, whatever the stage (npm test -- infra -u writes it)", async () => {
    const text = SstEnv.render(production.links);
    each((stage, name) => expect(SstEnv.render(stage.links), name).toBe(text));
    expect(text).not.toContain("canary-");
    await expect(text).toMatchFileSnapshot(join(root, "sst-env.d.ts"));
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

  rightsTests(() => all);
  stageTests(() => all);
  bucketTests(() => all);
  pagesTests(() => all);
  alarmTests(() => all);

  test("sst.config.ts and infra/ have right types, units included", async () => {
    expect(await types).toBe("");
  }, 120_000);
});

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
