/** The SDK's parts for the queues, in a file of their own: core/queue/client.ts loads it at the first call. */
import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";

export { SQSClient } from "@aws-sdk/client-sqs";

/** By the operation's name. What it takes is in client.ts. */
export const commands = {
  ChangeMessageVisibility: ChangeMessageVisibilityCommand,
  GetQueueAttributes: GetQueueAttributesCommand,
  SendMessage: SendMessageCommand,
  SendMessageBatch: SendMessageBatchCommand,
} satisfies Record<string, new (input: never) => object>;
