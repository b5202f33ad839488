/** Every function of limits.ts, with the links that it asks for there and no others. */
import * as Concurrency from "./concurrency.ts";
import { type FunctionName, type FunctionSpec, functions as specs } from "./limits.ts";
import { links } from "./links.ts";
import { pairs } from "./queue-resources.ts";
import { worked } from "./queues.ts";
import { defaultFunction, routes } from "./routes.ts";
import { type LinkName, pascal, plain } from "./settings.ts";

const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);

/** Whoever reads keys needs the pepper of their hashes: the functions behind routes that have the database. */
function linksOf(name: string, spec: FunctionSpec): LinkName[] {
  return [
    ...spec.links,
    ...(behindRoutes.has(name) && spec.links.includes("database") ? (["auth"] as const) : []),
  ];
}

/** Settings that are no secret, as the deploying environment has them. */
function environment(spec: FunctionSpec): Record<string, string> {
  const names = ["app", ...spec.links].flatMap((group) =>
    group in plain ? plain[group as keyof typeof plain] : [],
  );
  return {
    OCRLTY_STAGE: $app.stage,
    // Stack traces in the log name our files; the map is read only when an error is described.
    NODE_OPTIONS: "--enable-source-maps",
    ...Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
  };
}

/** What a function may do in AWS, queue by queue. Everything else that it uses is reached over HTTP. */
function permissionsOf(name: string, spec: FunctionSpec, log: aws.cloudwatch.LogGroup) {
  const { sends = [], asks = [] } = spec;
  const worksOn = Object.entries(worked).flatMap(([queue, { subscription, deadLetter }]) => [
    ...(subscription.function === name ? [pairs[queue].queue.arn] : []),
    ...(deadLetter.function === name ? [pairs[queue].deadLetters.arn] : []),
  ]);
  const arns = (names: readonly string[]) =>
    names.map((queue) => {
      if (pairs[queue] === undefined)
        throw new Error(`${name} uses the ${queue} queue, which nobody works on`);
      return pairs[queue].queue.arn;
    });
  return [
    // Its own log alone, but all streams of it: their names are made by Lambda.
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [$interpolate`${log.arn}:*`] },
    { actions: ["sqs:SendMessage"], resources: arns(sends) },
    { actions: ["sqs:GetQueueAttributes"], resources: arns(asks) },
    {
      actions: [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
      ],
      resources: worksOn,
    },
  ].filter(({ resources }) => resources.length > 0);
}

const reserved = Concurrency.reserved(process.env);

function make(name: FunctionName, spec: FunctionSpec): sst.aws.Function {
  // Ours instead of SST's, whose name is not known before the role is made.
  const log = new aws.cloudwatch.LogGroup(`${pascal(name)}Log`, {
    name: `/aws/lambda/${$app.name}-${$app.stage}-${name}`,
    retentionInDays: 30,
  });
  return new sst.aws.Function(pascal(name), {
    handler: spec.handler,
    runtime: "nodejs24.x",
    // Cheaper, and sharp has a build for it.
    architecture: "arm64",
    memory: `${spec.memoryMb} MB`,
    timeout: `${spec.timeoutMs / 1000} seconds`,
    ...(reserved[name] === undefined ? {} : { concurrency: { reserved: reserved[name] } }),
    link: linksOf(name, spec).map((link) => links[link]),
    environment: environment(spec),
    permissions: permissionsOf(name, spec, log),
    nodejs: {
      minify: true,
      sourcemap: true,
      // What an `import()` asks for is no part of a cold start: an HTTP client for strangers' URLs, sharp, AWS's sign-ins.
      splitting: true,
      loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
      ...(spec.install === undefined ? {} : { install: [...spec.install] }),
    },
    // Our lines are JSON already; Lambda's own format would wrap them once more.
    logging: { logGroup: log.name, format: "text" },
    transform: {
      role: (args) => {
        // SST lets the whole account assume the role, as `sst dev` needs it.
        if ($dev) return;
        args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
        // AWSLambdaBasicExecutionRole, which may write every log of the account.
        args.managedPolicyArns = [];
      },
    },
  });
}

/** Every function by its name in limits.ts. */
export const functions = Object.fromEntries(
  Object.entries<FunctionSpec>(specs).map(([name, spec]) => [name, make(name as FunctionName, spec)]),
) as Record<FunctionName, sst.aws.Function>;
