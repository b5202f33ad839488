import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as S3 from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { type S3Server, start } from "#local/s3/server";

/** A running store in a folder of its own, with AWS's client, for the tests of this folder. */
export interface Store {
  server: S3Server;
  dir: string;
  s3: S3.S3Client;
  clientOf(more?: Partial<S3.S3ClientConfig>): S3.S3Client;
  put(
    Key: string,
    Body: string | Uint8Array,
    more?: Partial<S3.PutObjectCommandInput>,
  ): Promise<S3.PutObjectCommandOutput>;
  get(Key: string, more?: Partial<S3.GetObjectCommandInput>): Promise<S3.GetObjectCommandOutput>;
  textOf(Key: string): Promise<string | undefined>;
  /** A presigned PUT as uploads use it: length and If-None-Match are signed. */
  presignPut(
    Key: string,
    body: string,
    more?: { signingDate?: Date; expiresIn?: number },
  ): Promise<{ url: string; headers: Record<string, string> }>;
  stop(): Promise<void>;
}

export const credentials = { accessKeyId: "local-key", secretAccessKey: "local-secret" };
export const Bucket = "pictures";

let keys = 0;

/** A key that no other test uses. */
export function freshKey(name = "object"): string {
  keys += 1;
  return `${name}-${keys}`;
}

export async function open(more: Partial<Parameters<typeof start>[0]> = {}): Promise<Store> {
  const dir = more.dir ?? (await mkdtemp(join(tmpdir(), "ocrlty-s3-")));
  const server = await start({ dir, ...credentials, buckets: [Bucket], ...more });
  const clients: S3.S3Client[] = [];
  const clientOf = (config: Partial<S3.S3ClientConfig> = {}) => {
    const client = connectTo(server.url, config);
    clients.push(client);
    return client;
  };
  const s3 = clientOf();
  const get: Store["get"] = (Key, input = {}) => s3.send(new S3.GetObjectCommand({ Bucket, Key, ...input }));
  return {
    server,
    dir,
    s3,
    clientOf,
    get,
    put: (Key, Body, input = {}) => s3.send(new S3.PutObjectCommand({ Bucket, Key, Body, ...input })),
    textOf: async (Key) => (await get(Key)).Body?.transformToString(),
    presignPut: async (Key, body, options = {}) => {
      const length = { ContentType: "image/png", ContentLength: body.length };
      const url = await getSignedUrl(
        s3,
        new S3.PutObjectCommand({ Bucket, Key, ...length, IfNoneMatch: "*" }),
        {
          expiresIn: 60,
          ...options,
          signableHeaders: new Set(["host", "content-length", "if-none-match"]),
          unhoistableHeaders: new Set(["if-none-match"]),
        },
      );
      return { url, headers: { "content-type": "image/png", "if-none-match": "*" } };
    },
    stop: async () => {
      for (const client of clients) client.destroy();
      await server.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** AWS's client as the product configures it, without repeats. */
export function connectTo(endpoint: string, more: Partial<S3.S3ClientConfig> = {}): S3.S3Client {
  return new S3.S3Client({
    endpoint,
    region: "auto",
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...more,
  });
}

/** Status, and of an error its code. */
export async function answerOf(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const xml = await response.text();
  return { status: response.status, code: /<Code>(\w+)</.exec(xml)?.[1], xml };
}
