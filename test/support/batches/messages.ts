/** The item queue from outside: the number of messages, and copies of old ones. */
import { GetQueueAttributesCommand, SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type * as Order from "#core/run/dispatch/order";
import { fifo, type ItemMessage } from "#core/run/dispatch/window";
import { type Batches, queuesOf } from "./batches.ts";

/** Messages in the item queue (or its dead-letter queue) that wait, and those in flight. */
export async function counts(
  batches: Batches,
  options: { dead: boolean } = { dead: false },
): Promise<{ waiting: number; invisible: number }> {
  const { sqs: client, urls } = queuesOf(batches.loop);
  try {
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({
        QueueUrl: options.dead ? await deadLetterUrl(client, urls.item) : urls.item,
        AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
      }),
    );
    return {
      waiting: Number(Attributes?.ApproximateNumberOfMessages),
      invisible: Number(Attributes?.ApproximateNumberOfMessagesNotVisible),
    };
  } finally {
    client.destroy();
  }
}

let copies = 0;

/** Sends a message again under another deduplication id, like a queue that delivers twice. */
export async function copy(batches: Batches, message: ItemMessage): Promise<void> {
  const { sqs: client, urls } = queuesOf(batches.loop);
  const { body, group, deduplicationId } = fifo(message);
  copies += 1;
  try {
    await client.send(
      new SendMessageCommand({
        QueueUrl: urls.item,
        MessageBody: JSON.stringify(body),
        MessageGroupId: group,
        MessageDeduplicationId: `${deduplicationId}.copy-${copies}`,
      }),
    );
  } finally {
    client.destroy();
  }
}

/** Puts a message into the dead-letter queue, as after too many receives. */
export async function bury(
  batches: Batches,
  queue: "item" | "plan",
  body: ItemMessage | Order.PlanMessage,
): Promise<void> {
  const { sqs: client, urls } = queuesOf(batches.loop);
  copies += 1;
  try {
    await client.send(
      new SendMessageCommand({
        QueueUrl: await deadLetterUrl(client, urls[queue]),
        MessageBody: JSON.stringify(body),
        MessageGroupId: body.run_uid,
        MessageDeduplicationId: `buried-${copies}`,
      }),
    );
  } finally {
    client.destroy();
  }
}

async function deadLetterUrl(client: SQSClient, queueUrl: string): Promise<string> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ["RedrivePolicy"] }),
  );
  const { deadLetterTargetArn } = JSON.parse(Attributes?.RedrivePolicy ?? "{}") as {
    deadLetterTargetArn: string;
  };
  return queueUrl.replace(/[^/]+$/, deadLetterTargetArn.split(":").at(-1) ?? "");
}
