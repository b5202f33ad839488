/** Every function of limits.ts, with the links that it asks for there and no others. */
import { type FunctionName, type FunctionSpec, functions as specs } from "./limits.ts";
import { links } from "./links.ts";
import { pairs } from "./queue-resources.ts";
import { type QueueSpec, queues } from "./queues.ts";
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

/** The queues that a function works on, dead letters included. */
function queuesOf(name: string): $util.Output<string>[] {
  return Object.entries<QueueSpec>(queues).flatMap(([queue, { subscription, deadLetter }]) => {
    const pair = pairs[queue as keyof typeof pairs];
    return [
      ...(subscription.function === name ? [pair.queue.arn] : []),
      ...(deadLetter.function === name ? [pair.deadLetters.arn] : []),
    ];
  });
}

function make(name: string, spec: FunctionSpec): sst.aws.Function {
  const worksOn = queuesOf(name);
  return new sst.aws.Function(pascal(name), {
    handler: spec.handler,
    runtime: "nodejs24.x",
    // Cheaper, and sharp has a build for it.
    architecture: "arm64",
    memory: `${spec.memoryMb} MB`,
    timeout: `${spec.timeoutMs / 1000} seconds`,
    link: linksOf(name, spec).map((link) => links[link]),
    environment: environment(spec),
    permissions:
      worksOn.length === 0
        ? []
        : [
            {
              actions: [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
              ],
              resources: worksOn,
            },
          ],
    nodejs: {
      minify: true,
      sourcemap: true,
      loader: { ".sql": "text", ".md": "text", ".txt": "text", ".html": "text" },
      ...(spec.install === undefined ? {} : { install: [...spec.install] }),
    },
    // Our lines are JSON already; Lambda's own format would wrap them once more.
    logging: { retention: "1 month", format: "text" },
    transform: {
      role: (args) => {
        // SST lets the whole account assume the role, as `sst dev` needs it.
        if (!$dev)
          args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
      },
    },
  });
}

/** Every function by its name in limits.ts. */
export const functions = Object.fromEntries(
  Object.entries<FunctionSpec>(specs).map(([name, spec]) => [name, make(name, spec)]),
) as Record<FunctionName, sst.aws.Function>;
