/** Every function of spec/functions.ts, with exactly the links that its entry names. */
import { settings, takes } from "../core/setting.ts";
import * as Access from "../spec/access.ts";
import * as Concurrency from "../spec/concurrency.ts";
import {
  type FunctionName,
  type FunctionSpec,
  type QueueName,
  functions as specs,
} from "../spec/functions.ts";
import { pdfium } from "../spec/pdfium.ts";
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
 * The settings that are not secrets, from the deploying environment.
 * @throws Error for a value that the functions would refuse, so that it is not deployed.
 */
function environment(spec: FunctionSpec): Record<string, string> {
  const names = ["app", ...spec.links].flatMap((group) =>
    group in plain ? plain[group as keyof typeof plain] : [],
  );
  return {
    OCRLTY_STAGE: $app.stage,
    // So that stack traces in the log name our source files.
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

/** A function's rights in AWS. Everything outside AWS is reached over HTTP. */
function permissionsOf(name: string, spec: FunctionSpec, log: aws.cloudwatch.LogGroup) {
  return [
    // Only its own log group, but every stream in it: Lambda makes their names.
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

/** What SST lays beside the bundle. */
function copied(spec: FunctionSpec): { from: string; to: string }[] {
  return [
    ...(spec.pages === true ? [Pages.make()] : []),
    ...(spec.pdf === true ? [{ from: pdfium.path, to: pdfium.name }] : []),
  ];
}

const reserved = Concurrency.reserved(process.env);

function make(name: FunctionName, spec: FunctionSpec): sst.aws.Function {
  // In place of SST's log group, whose name is not known before the role is made.
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
    copyFiles: copied(spec),
    permissions: permissionsOf(name, spec, log),
    nodejs: {
      minify: true,
      sourcemap: true,
      // What an `import()` loads stays out of the cold start: the HTTP client for callers' URLs, sharp, AWS sign-in.
      splitting: true,
      loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
      ...(spec.install === undefined ? {} : { install: [...spec.install] }),
    },
    hook: {
      // Node reads the source maps of what it loads at each cold start. Three quarters of each are sources, which stack
      // traces do not need.
      postbuild: SourceMaps.withoutSources,
    },
    // A scheduled call is an asynchronous event: by default Lambda repeats it twice if it fails, and keeps it for six
    // hours if no instance is free. The next minute's call does the same work, and a late one is useless.
    ...(onSchedule.has(name) ? { retries: 0 as const } : {}),
    // Our log lines are already JSON; Lambda's JSON format would wrap them again.
    logging: { logGroup: log.name, format: "text" },
    transform: {
      eventInvokeConfig: { maximumEventAgeInSeconds: 60 },
      role: (args) => {
        // SST lets the whole account assume the role, which only `sst dev` needs.
        if ($dev) return;
        args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
        // Without AWSLambdaBasicExecutionRole, which may write to every log group of the account.
        args.managedPolicyArns = [];
      },
    },
  });
  if (behindQueues.has(name))
    // Our messages lead to further messages: the next part of a run, the next probe of the model server. Lambda treats
    // that as a loop and stops the chain at a function's 16th call. Ours are ended by the state of their rows.
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
