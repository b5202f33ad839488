import type * as SQS from "@aws-sdk/client-sqs";
import type * as Sdk from "./sdk.ts";

/** What each operation takes and answers. */
interface Calls {
  ChangeMessageVisibility: [
    SQS.ChangeMessageVisibilityCommandInput,
    SQS.ChangeMessageVisibilityCommandOutput,
  ];
  GetQueueAttributes: [SQS.GetQueueAttributesCommandInput, SQS.GetQueueAttributesCommandOutput];
  SendMessage: [SQS.SendMessageCommandInput, SQS.SendMessageCommandOutput];
  SendMessageBatch: [SQS.SendMessageBatchCommandInput, SQS.SendMessageBatchCommandOutput];
}

/** The SDK's client, which is loaded at the first call: most calls send no message. */
export interface Client {
  /** Not a method: the compiler would take the SDK's own `send` for one, which wants a command. */
  readonly send: <O extends keyof Calls>(
    operation: O,
    input: Calls[O][0],
    options: { abortSignal: AbortSignal },
  ) => Promise<Calls[O][1]>;
  destroy(): void;
}

type Command = new (input: never) => object;

/** A client with this configuration; the address and the credentials come from the SDK's own variables. */
export function open(config: SQS.SQSClientConfig): Client {
  let made: Promise<{ sdk: typeof Sdk; client: SQS.SQSClient }> | undefined;
  const load = async () => {
    const Sdk = await import("./sdk.ts");
    return { sdk: Sdk, client: new Sdk.SQSClient(config) };
  };
  return {
    send: async (operation, input, options) => {
      made ??= load();
      const { sdk, client } = await made;
      const command = new (sdk.commands[operation] as Command)(input as never);
      return client.send(command as never, options) as never;
    },
    destroy: () => void made?.then(({ client }) => client.destroy()),
  };
}
