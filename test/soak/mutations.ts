/** The changes to the deployment that soaks make, and the test of infra/ that must fail for each. */
import type { Edit } from "#test/soak/mutant";

/** With a second edit if something moves within the file. */
export type Mutation = [what: string, file: string, from: string, to: string, fails: RegExp, ...more: Edit[]];

const vllmKey = `  VLLM_API_KEY: { secret: "VllmApiKey", link: "model", optional: true },\n`;
const health = `  { method: "GET", path: "/health", `;
const noAssume =
  'args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });';

const called = /a queue's worker is called as queues\.ts says/;
const routed = /each have an operation in their function/;
const offered = /every function's file is there and exports its handler/;
const sized = /has the memory, time, runtime and architecture of functions\.ts/;
const gateway = /the gateway leaves CORS to the functions, is throttled/;
const rights = /a function may send to the queues that functions\.ts names/;
const queue = /every queue is what queues\.ts says/;
const kept = /production is protected and keeps its bucket/;
const clock = /a scheduled call is neither repeated by Lambda/;

export const mutations: Mutation[] = [
  // The four changes that a deployment must never have.
  [
    "visibility is five minutes, the time of one picture",
    "spec/queues.ts",
    "visibilityBeyondMs = 30_000",
    "visibilityBeyondMs = 0",
    called,
  ],
  [
    "a function's timeout is above the visibility",
    "spec/queues.ts",
    `visibilityOf("item")`,
    `visibilityOf("plan")`,
    called,
  ],
  [
    "a route to a function that does not exist",
    "spec/routes.ts",
    health,
    `  { method: "GET", path: "/v1/none", function: "none", access: "key" },\n${health}`,
    routed,
  ],
  [
    "a route that its function has no operation for",
    "spec/routes.ts",
    health,
    `  { method: "GET", path: "/v1/none", function: "usage", access: "key" },\n${health}`,
    routed,
  ],
  [
    "a handler that its file does not export",
    "spec/functions.ts",
    "functions/api/usage.handler",
    "functions/api/usage.handle",
    /each loads without any variable, and only exports its handler/,
  ],
  [
    "a handler behind a route in a file that does not exist",
    "spec/functions.ts",
    "functions/api/usage.handler",
    "functions/api/usages.handler",
    offered,
  ],
  [
    "a handler behind a queue in a file that does not exist",
    "spec/functions.ts",
    "functions/queue/later.handler",
    "functions/queue/latter.handler",
    offered,
  ],
  [
    "a bucket of the EU sought where it does not exist",
    "spec/jurisdiction.ts",
    'return where === "default"',
    'return where !== "nowhere"',
    /a bucket of the EU has this jurisdiction/,
  ],
  [
    "a secret's value in the functions' environment",
    "infra/functions.ts",
    "    OCRLTY_STAGE: $app.stage,\n",
    "    OCRLTY_STAGE: $app.stage,\n    VLLM_API_KEY: links.model.properties.VLLM_API_KEY as string,\n",
    /no secret is in an environment variable/,
  ],
  [
    "a secret moved into what is passed on plainly",
    "spec/settings.ts",
    vllmKey,
    "",
    /every variable with a name like a secret is a secret/,
    [`    "VLLM_MODEL",\n`, `    "VLLM_MODEL",\n    "VLLM_API_KEY",\n`],
  ],
  [
    "a secret that is passed on plainly, too",
    "spec/settings.ts",
    `    "VLLM_MODEL",\n`,
    `    "VLLM_MODEL",\n    "VLLM_API_KEY",\n`,
    /every variable of core\/config\.ts comes from exactly one place/,
  ],
  [
    "partialResponses removed from the mapping",
    "infra/workers.ts",
    ", partialResponses: subscription.partialResponses",
    "",
    called,
  ],
  [
    "partialResponses off in one subscription",
    "spec/queues.ts",
    `function: "later", batchSize: 1, maxConcurrency: 16, partialResponses: true`,
    `function: "later", batchSize: 1, maxConcurrency: 16, partialResponses: false`,
    called,
  ],
  [
    "partialResponses off for dead letters",
    "spec/queues.ts",
    "maxConcurrency: 2, partialResponses: true",
    "maxConcurrency: 2, partialResponses: false",
    called,
  ],
  // Queues.
  [
    "ten receives instead of a hundred",
    "spec/queues.ts",
    "maxReceiveCount: 100",
    "maxReceiveCount: 10",
    /no message is given up before a hundred receives/,
  ],
  [
    "the deployed queue's receives alone",
    "infra/queue-resources.ts",
    "retry: spec.maxReceiveCount",
    "retry: 3",
    queue,
  ],
  [
    "ten messages a call",
    "spec/queues.ts",
    `function: "plan", batchSize: 1`,
    `function: "plan", batchSize: 10`,
    /a call has one message/,
  ],
  [
    "calls at once without a limit",
    "infra/workers.ts",
    "scalingConfig: { maximumConcurrency: Concurrency.mapping(subscription, process.env) },",
    "",
    /every stage has the routes, sizes, queues and clocks/,
  ],
  ["one throughput for all runs", "infra/queue-resources.ts", `"perMessageGroupId"`, `"perQueue"`, queue],
  [
    "queues without encryption at rest",
    "infra/queue-resources.ts",
    "sqsManagedSseEnabled: true",
    "sqsManagedSseEnabled: false",
    queue,
  ],
  [
    "the clock's function runs into its next call",
    "spec/functions.ts",
    "timeoutMs: 50_000",
    "timeoutMs: 70_000",
    /a scheduled function has ended before it is called again/,
  ],
  [
    "the clock's call repeated by Lambda",
    "infra/functions.ts",
    "{ retries: 0 as const }",
    "{ retries: 2 as const }",
    clock,
  ],
  [
    "recursion left to Lambda's judgement",
    "infra/functions.ts",
    `recursiveLoop: "Allow"`,
    `recursiveLoop: "Terminate"`,
    /Lambda allows messages that order further messages/,
  ],
  // The gateway.
  ["the gateway's own, empty CORS", "infra/api.ts", "args.corsConfiguration = undefined;", "", gateway],
  [
    "throttling removed",
    "infra/api.ts",
    "args.defaultRouteSettings = { throttlingBurstLimit: 200, throttlingRateLimit: 100 };",
    "void args;",
    gateway,
  ],
  [
    "a function behind a route outlives the gateway",
    "spec/functions.ts",
    "httpTimeoutMs = 29_000",
    "httpTimeoutMs = 31_000",
    /a function behind a route ends before the gateway gives up/,
  ],
  // Functions.
  [
    "memory other than in functions.ts",
    "infra/functions.ts",
    "spec.memoryMb} MB",
    "2 * spec.memoryMb} MB",
    sized,
  ],
  ["bundles without splitting", "infra/functions.ts", "splitting: true", "splitting: false", sized],
  [
    "a budget below the bundle's size",
    "spec/functions.ts",
    "maxBundleKb: 200",
    "maxBundleKb: 100",
    /each stays within its budget/,
  ],
  [
    "a budget above what callers wait for",
    "spec/functions.ts",
    "maxBundleKb: 180",
    "maxBundleKb: 900",
    /the budget of a function behind routes is at most/,
  ],
  [
    "source maps with sources",
    "infra/functions.ts",
    "postbuild: SourceMaps.withoutSources",
    "postbuild: async () => {}",
    /source maps name files and lines, and hold no sources/,
  ],
  [
    "logs for ever",
    "infra/functions.ts",
    "retentionInDays: 30",
    "retentionInDays: 0",
    /logs are kept for a month/,
  ],
  // Rights.
  [
    "sqs:SendMessage on *",
    "infra/functions.ts",
    "resources: on.map(",
    `resources: actions.includes("sqs:SendMessage") ? ["*"] : on.map(`,
    /no role of any stage has AWS's own policies, or a resource with a \*/,
  ],
  [
    "one more queue to send to",
    "spec/functions.ts",
    `links: ["database", "bucket", "queues"],\n    sends: ["later"],`,
    `links: ["database", "bucket", "queues"],\n    sends: ["single", "later"],`,
    /docs\/security\.md has the table of these rights/,
  ],
  [
    "a right beyond functions.ts",
    "spec/access.ts",
    `"sqs:GetQueueAttributes"], on: asks`,
    `"sqs:GetQueueAttributes", "sqs:PurgeQueue"], on: asks`,
    rights,
  ],
  [
    "AWS's own policy for logs",
    "infra/functions.ts",
    "args.managedPolicyArns = [];",
    "",
    /no role of any stage has AWS's own policies/,
  ],
  ["roles for the whole account", "infra/functions.ts", noAssume, "", rights],
  [
    "the GPU account's key for a function",
    "spec/functions.ts",
    `links: ["database", "bucket", "queues", "webhook"],\n    sends: ["later"]`,
    `links: ["database", "bucket", "queues", "webhook", "pod"],\n    sends: ["later"]`,
    /the keys of rented GPUs are linked to the pod's manager alone/,
  ],
  // Stages.
  ["production not protected", "sst.config.ts", "protect: isProduction", "protect: false", kept],
  [
    "a stage that moves to another S3 forgets the bucket that it had",
    "infra/bucket.ts",
    `Object.hasOwn($cli.state.version, "Bucket")`,
    "false",
    /keeps its bucket on R2 unchanged/,
  ],
  [
    "another bucket than the one that is named",
    "infra/bucket.ts",
    `checked("S3_BUCKET", bucket)`,
    `checked("S3_BUCKET", "other")`,
    /another S3 needs only settings/,
  ],
  ["the bucket goes with its stage", "infra/bucket.ts", `$app.removal !== "remove"`, "false", kept],
  [
    "alarms that tell nobody",
    "infra/alarms.ts",
    "alarmActions: [topic.arn]",
    "alarmActions: []",
    /every alarm has a receiver/,
  ],
  [
    "uploads dropped while runs need them",
    "spec/lifecycle.ts",
    "/ 1000 + 14 * day",
    "/ 1000",
    /the bucket's own rules delete temporary files/,
  ],
];
