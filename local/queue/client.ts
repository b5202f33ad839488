import type { SQSClient } from "@aws-sdk/client-sqs";
import type { Client } from "#core/queue/client";
import { commands } from "#core/queue/sdk";

type Command = new (input: never) => object;

/** The product's client through one of the SDK, which its owner destroys. */
export function through(sqs: SQSClient): Client {
  return {
    send: (operation, input, options) =>
      sqs.send(new (commands[operation] as Command)(input as never) as never, options) as never,
    destroy: () => undefined,
  };
}
