/** The queues of a stage or of the loop, with their dead letters, as the operator's commands reach them. */
import * as fs from "node:fs";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import * as z from "zod";
import { type Context, UsageError } from "#cli/terminal/context";
import { home } from "#local/home/home";
import * as Settings from "#local/home/settings";
import { queues, urlVariable } from "#spec/queues";

/** The loop's own queues take any credentials: they listen on this machine alone. */
const ofLoop = {
  region: "us-east-1",
  credentials: { accessKeyId: "operator", secretAccessKey: "operator" },
};

/**
 * The queues of this environment by their variables, a stage's under `sst shell`, else those of the loop that runs in the
 * folder; and a client for them. It makes no call. Throws ConfigError for a wrong address.
 */
export function access({ env }: Pick<Context, "env">): {
  client: SQSClient;
  urls: Readonly<Record<string, string | undefined>>;
} {
  // The SDK also reads the address, but its message about a wrong one says less than `npm start`'s.
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

const RedrivePolicy = z.object({ deadLetterTargetArn: z.string() });

/** The pair of a queue. The queue's own attributes name its dead-letter queue, so no setting does. */
export async function find(client: SQSClient, url: string): Promise<Pair> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["RedrivePolicy"] }),
  );
  const policy = Attributes?.RedrivePolicy;
  if (policy === undefined) throw new UsageError("that queue has no dead-letter queue");
  const { deadLetterTargetArn: deadArn } = RedrivePolicy.parse(JSON.parse(policy));
  const name = deadArn.slice(deadArn.lastIndexOf(":") + 1);
  // SQS requires both in one account and region, so their addresses differ only in the name.
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

/** Makes a refusal of SQS, missing credentials or a lost network a UsageError: one line, no stack. */
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
