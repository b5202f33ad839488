import type * as S3 from "@aws-sdk/client-s3";
import type { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type * as Sdk from "./sdk.ts";

/** What each operation takes and answers. */
interface Calls {
  CompleteMultipartUpload: [S3.CompleteMultipartUploadCommandInput, S3.CompleteMultipartUploadCommandOutput];
  CreateMultipartUpload: [S3.CreateMultipartUploadCommandInput, S3.CreateMultipartUploadCommandOutput];
  DeleteObject: [S3.DeleteObjectCommandInput, S3.DeleteObjectCommandOutput];
  GetObject: [S3.GetObjectCommandInput, S3.GetObjectCommandOutput];
  HeadObject: [S3.HeadObjectCommandInput, S3.HeadObjectCommandOutput];
  ListObjectsV2: [S3.ListObjectsV2CommandInput, S3.ListObjectsV2CommandOutput];
  PutObject: [S3.PutObjectCommandInput, S3.PutObjectCommandOutput];
  UploadPart: [S3.UploadPartCommandInput, S3.UploadPartCommandOutput];
}

/** The SDK's client, which is loaded at the first call: it is a third of what a cold start would load. */
export interface Client {
  /** Not a method: the compiler would take the SDK's own `send` for one, which wants a command. */
  readonly send: <O extends keyof Calls>(
    operation: O,
    input: Calls[O][0],
    options: { abortSignal: AbortSignal },
  ) => Promise<Calls[O][1]>;
  /** A URL with which anyone can make this call; no request is made. */
  sign<O extends "GetObject" | "PutObject">(
    operation: O,
    input: Calls[O][0],
    options: Parameters<typeof getSignedUrl>[2],
  ): Promise<string>;
  /** Loads what `send` needs, so that the first call does not wait for it. Never throws. */
  warm(): Promise<void>;
  destroy(): void;
}

type Command = new (input: never) => object;

/** A client with this configuration. */
export function open(config: S3.S3ClientConfig): Client {
  let made: Promise<{ sdk: typeof Sdk; client: S3.S3Client }> | undefined;
  const load = async () => {
    const Sdk = await import("./sdk.ts");
    return { sdk: Sdk, client: new Sdk.S3Client(config) };
  };
  const loaded = () => {
    made ??= load();
    return made;
  };
  return {
    send: async (operation, input, options) => {
      const { sdk, client } = await loaded();
      const command = new (sdk.commands[operation] as Command)(input as never);
      return client.send(command as never, options) as never;
    },
    sign: async (operation, input, options) => {
      const [{ sdk, client }, presigner] = await Promise.all([loaded(), import("./presigner.ts")]);
      const command = new (sdk.commands[operation] as Command)(input as never);
      return presigner.getSignedUrl(client, command as never, options);
    },
    warm: () =>
      loaded().then(
        () => undefined,
        () => undefined,
      ),
    destroy: () => void made?.then(({ client }) => client.destroy()),
  };
}
