import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteMessageCommand,
  ListMessageMoveTasksCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";
import { Argument, Command } from "commander";
import * as DeadLetters from "#cli/server/dead-letters";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";

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

/** `redrive QUEUE`: moves the messages of a dead-letter queue back to their queue. */
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
    .option("--max <n>", "at most this many, oldest first; begin with one")
    .option("--dry-run", "say how many there are and move nothing")
    .option("--json", "the result on one line of JSON")
    .action(async (queue: string, options: Options) => done(await redrive(context, queue, options)));
}

async function redrive(context: Context, queue: string, options: Options): Promise<Exit> {
  const max = options.max === undefined ? undefined : Number(options.max);
  if (max !== undefined && !(Number.isSafeInteger(max) && max > 0))
    throw new UsageError("--max must be a whole number from 1 on");
  const { client, urls } = DeadLetters.access(context);
  const url = urls[urlVariable(queue)];
  if (!url)
    throw new UsageError(
      `${urlVariable(queue)} is not set, and no local loop runs: run this under \`npx sst shell --stage NAME -- …\``,
    );
  try {
    const pair = await DeadLetters.friendly(context, () => DeadLetters.find(client, url));
    const waiting = await DeadLetters.friendly(context, () => DeadLetters.count(pair));
    if (options.dryRun) return report(context, options, { queue, waiting, moved: 0, left: waiting });
    const moved = await DeadLetters.friendly(context, async () =>
      // AWS's move task has no maximum, and not every SQS has such tasks.
      max === undefined
        ? ((await moveAll(context, pair)) ?? (await move(context, pair)))
        : move(context, pair, max),
    );
    const left = await DeadLetters.friendly(context, () => DeadLetters.count(pair));
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

const pollMs = 1_000;
const taskLimitMs = 15 * 60_000;

/**
 * Starts SQS's own move task for all messages and waits for its end. Returns how many it moved, or undefined if this
 * SQS has no such task. If the wait is interrupted, the task continues.
 */
async function moveAll(context: Context, { client, deadArn }: DeadLetters.Pair): Promise<number | undefined> {
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

/** No other consumer gets a message while it is moved; one that could not be moved is visible again after this. */
const holdSeconds = 60;
/** A long poll queries all SQS servers; a short one may miss messages. */
const waitSeconds = 2;

/** Moves them one by one: first sent, then deleted, so an interruption duplicates at most one. */
async function move(
  context: Context,
  pair: DeadLetters.Pair,
  max = Number.POSITIVE_INFINITY,
): Promise<number> {
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
          // A new id instead of the message's own: within five minutes SQS would drop the copy as a duplicate. The id
          // is derived from the message, so a copy that is sent twice because a deletion failed counts once.
          MessageDeduplicationId: `redrive-${message.MessageId}`,
        }),
  };
}
