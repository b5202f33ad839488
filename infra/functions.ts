/** Every function of spec/functions.ts, with the links that its entry names and no others. */
import { settings, takes } from "../core/setting.ts";
import * as Access from "../spec/access.ts";
import * as Concurrency from "../spec/concurrency.ts";
import {
  type FunctionName,
  type FunctionSpec,
  type QueueName,
  functions as specs,
} from "../spec/functions.ts";
import { type QueueSpec, queues, type ScheduleSpec, schedules, subscriptionsOf } from "../spec/queues.ts";
import { defaultFunction, routes } from "../spec/routes.ts";
import { pascal, plain } from "../spec/settings.ts";
import { links } from "./links.ts";
import * as Pages from "./pages.ts";
import { pairs } from "./queue-resources.ts";
import * as SourceMaps from "./source-maps.ts";

/** Functions that queues call. */
const behindQueues = new Set(
  Object.values<QueueSpec>(queues).flatMap((spec) => subscriptionsOf(spec).map((one) => one.function)),
);
const onSchedule = new Set(Object.values<ScheduleSpec>(schedules).map((schedule) => schedule.function));

const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);

/**
 * Settings that are no secret, as the deploying environment has them.
 * @throws for a value that the functions would refuse: a deployment must not bring it to them.
 */
function environment(spec: FunctionSpec): Record<string, string> {
  const names = ["app", ...spec.links].flatMap((group) =>
    group in plain ? plain[group as keyof typeof plain] : [],
  );
  return {
    OCRLTY_STAGE: $app.stage,
    // Stack traces in the log name our files.
    NODE_OPTIONS: "--enable-source-maps",
    ...Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, checked(name)]] : []))),
  };
}

function checked(name: string): string {
  const value = process.env[name] ?? "";
  const schema = Object.assign({}, ...Object.values(settings))[name];
  if (!schema?.safeParse(value).success) throw new Error(`${name} is not valid: it takes ${takes(schema)}`);
  return value;
}

/** What a function may do in AWS. Everything else that it uses is reached over HTTP. */
function permissionsOf(name: string, spec: FunctionSpec, log: aws.cloudwatch.LogGroup) {
  return [
    // Its own log alone, but all streams of it: their names are made by Lambda.
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [$interpolate`${log.arn}:*`] },
    ...Access.queueRights(name, spec, queues).map(({ actions, on }) => ({
      actions: [...actions],
      resources: on.map(({ queue, deadLetters }) => {
        const pair = pairs[queue as QueueName];
        return (deadLetters ? pair.deadLetters : pair.queue).arn;
      }),
    })),
  ];
}

const reserved = Concurrency.reserved(process.env);

function make(name: FunctionName, spec: FunctionSpec): sst.aws.Function {
  // Ours instead of SST's, whose name is not known before the role is made.
  const log = new aws.cloudwatch.LogGroup(`${pascal(name)}Log`, {
    name: `/aws/lambda/${$app.name}-${$app.stage}-${name}`,
    retentionInDays: 30,
  });
  const made = new sst.aws.Function(pascal(name), {
    handler: spec.handler,
    runtime: "nodejs24.x",
    // Cheaper, and sharp has a build for it.
    architecture: "arm64",
    memory: `${spec.memoryMb} MB`,
    timeout: `${spec.timeoutMs / 1000} seconds`,
    ...(reserved[name] === undefined ? {} : { concurrency: { reserved: reserved[name] } }),
    link: Access.linksOf(spec, behindRoutes.has(name)).map((link) => links[link]),
    environment: environment(spec),
    ...(spec.pages === true ? { copyFiles: [Pages.make()] } : {}),
    permissions: permissionsOf(name, spec, log),
    nodejs: {
      minify: true,
      sourcemap: true,
      // What an `import()` asks for is no part of a cold start: an HTTP client for strangers' URLs, sharp, AWS's sign-ins.
      splitting: true,
      loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
      ...(spec.install === undefined ? {} : { install: [...spec.install] }),
    },
    hook: {
      // Node reads the maps of what it loads at each cold start. Three quarters of them are sources, which no frame needs.
      postbuild: SourceMaps.withoutSources,
    },
    // The clock's call is an event, which Lambda would repeat twice when it fails and keep for six hours when there is
    // no instance for it. The next minute repeats it anyway, and a late one is of no use.
    ...(onSchedule.has(name) ? { retries: 0 as const } : {}),
    // Our lines are JSON already; Lambda's own format would wrap them once more.
    logging: { logGroup: log.name, format: "text" },
    transform: {
      eventInvokeConfig: { maximumEventAgeInSeconds: 60 },
      role: (args) => {
        // SST lets the whole account assume the role, as `sst dev` needs it.
        if ($dev) return;
        args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
        // AWSLambdaBasicExecutionRole, which may write every log of the account.
        args.managedPolicyArns = [];
      },
    },
  });
  if (behindQueues.has(name))
    // Messages of ours order further messages: the next part of a run, the next look for the model server. Lambda takes
    // that for a loop and stops the chain at a function's 16th call; ours end by what their rows say.
    new aws.lambda.FunctionRecursionConfig(`${pascal(name)}Recursion`, {
      functionName: made.name,
      recursiveLoop: "Allow",
    });
  return made;
}

/** Every function by its name in spec/functions.ts. */
export const functions = Object.fromEntries(
  Object.entries<FunctionSpec>(specs).map(([name, spec]) => [name, make(name as FunctionName, spec)]),
) as Record<FunctionName, sst.aws.Function>;
