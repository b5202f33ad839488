import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ListMessageMoveTasksCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";
import { Argument, Command } from "commander";
import * as z from "zod";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import { home } from "#local/home/home";
import * as Settings from "#local/home/settings";
import { queues, urlVariable } from "#spec/queues";

interface Options {
  max?: string;
  dryRun?: boolean;
  json?: boolean;
}

const about = `
Which queues there are and where they lie is known under \`sst shell\`, else they are those of the loop that runs; the credentials that it sets need
sqs:StartMessageMoveTask, ListMessageMoveTasks, ReceiveMessage, DeleteMessage, SendMessage and GetQueueAttributes there.
A message that was moved may be delivered twice: the work is idempotent.`;

const stage = "npx sst shell --stage production -- node scripts/launch.mjs ocrlty";

/** `redrive QUEUE`: gives the messages of a dead-letter queue back to their queue. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    new Command("redrive").description("move the messages of a dead-letter queue back to their queue"),
    {
      about,
      examples: [
        `${stage} redrive single --dry-run`,
        `${stage} redrive single --max 1`,
        `${stage} redrive single`,
      ],
      exits: { 0: "done", 1: "not all could be moved", 2: "usage or queue", 130: "interrupted" },
    },
  )
    .addArgument(new Argument("<queue>", "the queue they go back to").choices(Object.keys(queues)))
    .option("--max <n>", "at most so many, oldest first; one is a good start")
    .option("--dry-run", "say how many there are and move nothing")
    .option("--json", "the result on one line of JSON")
    .action(async (queue: string, options: Options) => done(await redrive(context, queue, options)));
}

/** The loop's own queues take any credentials: they listen on this machine alone. */
const ofLoop = {
  region: "us-east-1",
  credentials: { accessKeyId: "operator", secretAccessKey: "operator" },
};

/**
 * The queues of this environment by their variables, a stage's under `sst shell`, else those of the loop that runs in the
 * folder; and a client for them. Nothing is asked yet. Throws ConfigError for an address that is none.
 */
export function access({ env }: Pick<Context, "env">): {
  client: SQSClient;
  urls: Readonly<Record<string, string | undefined>>;
} {
  // The SDK reads it by itself, and says of a wrong one less than `npm start` does.
  Settings.sqs(env);
  const isSet = Object.keys(queues).some((queue) => env[urlVariable(queue)]);
  const path = isSet ? undefined : home(env).file("queue-urls");
  if (path === undefined || !fs.existsSync(path))
    return { client: new SQSClient({ maxAttempts: 3 }), urls: env };
  const urls = z.record(z.string(), z.string()).parse(JSON.parse(fs.readFileSync(path, "utf8")));
  const endpoint = urls.AWS_ENDPOINT_URL_SQS ?? "";
  return { client: new SQSClient({ ...ofLoop, endpoint, maxAttempts: 2 }), urls };
}

/** A dead-letter queue and the queue it belongs to. */
export interface Pair {
  client: SQSClient;
  url: string;
  deadUrl: string;
  deadArn: string;
}

async function redrive(context: Context, queue: string, options: Options): Promise<Exit> {
  const max = options.max === undefined ? undefined : Number(options.max);
  if (max !== undefined && !(Number.isSafeInteger(max) && max > 0))
    throw new UsageError("--max must be a whole number from 1 on");
  const { client, urls } = access(context);
  const url = urls[urlVariable(queue)];
  if (!url)
    throw new UsageError(
      `${urlVariable(queue)} is not set, and no local loop runs: run this under \`npx sst shell --stage NAME -- …\``,
    );
  try {
    const pair = await friendly(context, () => find(client, url));
    const waiting = await friendly(context, () => count(pair));
    if (options.dryRun) return report(context, options, { queue, waiting, moved: 0, left: waiting });
    const moved = await friendly(context, async () =>
      // AWS's own task knows no maximum, and not every SQS has it.
      max === undefined
        ? ((await moveAll(context, pair)) ?? (await move(context, pair)))
        : move(context, pair, max),
    );
    const left = await friendly(context, () => count(pair));
    return report(context, options, { queue, waiting, moved, left });
  } finally {
    client.destroy();
  }
}

interface Facts {
  queue: string;
  waiting: number;
  moved: number;
  left: number;
}

function report(context: Context, options: Options, facts: Facts): Exit {
  const { queue, waiting, moved, left } = facts;
  if (options.json) context.out(`${JSON.stringify(facts)}\n`);
  else if (options.dryRun) context.out(`${queue}: ${waiting} dead letters\n`);
  else context.out(`${queue}: ${moved} dead letters moved back, ${left} left\n`);
  const asked = options.dryRun ? 0 : Math.min(waiting, Number(options.max ?? waiting));
  return moved >= asked ? exit.ok : exit.items;
}

const RedrivePolicy = z.object({ deadLetterTargetArn: z.string() });

/** The dead-letter queue is named in the queue's own attributes, so nobody has to configure it. */
export async function find(client: SQSClient, url: string): Promise<Pair> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["RedrivePolicy"] }),
  );
  const policy = Attributes?.RedrivePolicy;
  if (policy === undefined) throw new UsageError("that queue has no dead-letter queue");
  const { deadLetterTargetArn: deadArn } = RedrivePolicy.parse(JSON.parse(policy));
  const name = deadArn.slice(deadArn.lastIndexOf(":") + 1);
  // SQS wants both in one account and region, so their addresses differ in the name alone.
  return { client, url, deadUrl: url.slice(0, url.lastIndexOf("/") + 1) + name, deadArn };
}

/** How many wait in the dead-letter queue, or in the queue itself; SQS calls its numbers approximate. */
export async function count(
  { client, deadUrl, url }: Pair,
  which: "dead" | "live" = "dead",
): Promise<number> {
  const QueueUrl = which === "dead" ? deadUrl : url;
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }),
  );
  return Number(Attributes?.ApproximateNumberOfMessages ?? 0);
}

const pollMs = 1_000;
const taskLimitMs = 15 * 60_000;

/**
 * Lets SQS move all of them itself and waits for the end; how many it moved, or undefined where this SQS has no such
 * task. An interrupted wait leaves the task running: SQS goes on by itself.
 */
async function moveAll(context: Context, { client, deadArn }: Pair): Promise<number | undefined> {
  try {
    await client.send(new StartMessageMoveTaskCommand({ SourceArn: deadArn }));
  } catch (error) {
    if (
      error instanceof Error &&
      /UnsupportedOperation|InvalidAction|UnknownOperation|NotImplemented/.test(error.name)
    )
      return undefined;
    throw error;
  }
  const giveUpAt = performance.now() + taskLimitMs;
  for (;;) {
    const { Results } = await client.send(
      new ListMessageMoveTasksCommand({ SourceArn: deadArn, MaxResults: 1 }),
    );
    const task = Results?.[0];
    const moved = task?.ApproximateNumberOfMessagesMoved ?? 0;
    if (task?.Status === "COMPLETED") return moved;
    if (task?.Status === "FAILED" || task?.Status === "CANCELLED") {
      context.say(
        `the move ended as ${task.Status} (${Text.shown(task.FailureReason ?? "no reason given")})`,
      );
      return moved;
    }
    if (performance.now() > giveUpAt) {
      context.say("the move still runs and goes on by itself");
      return moved;
    }
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}

/** Nobody else gets a message while it is moved; one that could not be moved is back after this. */
const holdSeconds = 60;
/** A long poll asks every server of SQS; a short one may miss messages. */
const waitSeconds = 2;

/** Moves them one after the other: sent first, deleted then, so an interruption doubles at most one. */
async function move(context: Context, pair: Pair, max = Number.POSITIVE_INFINITY): Promise<number> {
  let moved = 0;
  while (moved < max) {
    const { Messages = [] } = await pair.client.send(
      new ReceiveMessageCommand({
        QueueUrl: pair.deadUrl,
        MaxNumberOfMessages: Math.min(10, max - moved),
        VisibilityTimeout: holdSeconds,
        WaitTimeSeconds: waitSeconds,
        MessageAttributeNames: ["All"],
        MessageSystemAttributeNames: ["MessageGroupId"],
      }),
      { abortSignal: context.signal },
    );
    if (Messages.length === 0) return moved;
    for (const message of Messages) {
      context.signal.throwIfAborted();
      await pair.client.send(new SendMessageCommand({ QueueUrl: pair.url, ...copyOf(message) }));
      await pair.client.send(
        new DeleteMessageCommand({ QueueUrl: pair.deadUrl, ReceiptHandle: message.ReceiptHandle }),
      );
      moved += 1;
    }
  }
  return moved;
}

function copyOf(message: Message) {
  const group = message.Attributes?.MessageGroupId;
  return {
    MessageBody: message.Body,
    ...(message.MessageAttributes === undefined ? {} : { MessageAttributes: message.MessageAttributes }),
    ...(group === undefined
      ? {}
      : {
          MessageGroupId: group,
          // Not the message's own: within five minutes SQS would take the copy for the original and drop it. A copy
          // that is sent twice because its deletion failed is still told apart from a new one.
          MessageDeduplicationId: `redrive-${message.MessageId}`,
        }),
  };
}

/** A refusal of SQS, missing credentials or no network are for the person at the terminal: one line, no stack. */
export async function friendly<T>(context: Context, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof UsageError || error instanceof z.ZodError || !(error instanceof Error)) throw error;
    if (
      !(
        "$metadata" in error ||
        /Credentials|Region/.test(`${error.name} ${error.message}`) ||
        "code" in error
      )
    )
      throw error;
    const why = "code" in error && typeof error.code === "string" ? error.code : error.name;
    throw new UsageError(`the queue cannot be used (${why}): are these the stage's credentials?`, {
      cause: error,
    });
  }
}
