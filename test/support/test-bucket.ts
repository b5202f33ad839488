import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as Bucket from "#core/bucket/bucket";
import type { Fields, Log } from "#core/log";
import * as S3Server from "#local/s3/server";

export interface TestBucket {
  bucket: Bucket.Bucket;
  /** Operations that reached the store, in order; clear it at will. */
  calls: Parameters<S3Server.Hook>[0][];
  /** Fails a request by returning a status; replace it at will. */
  hook: { answer: S3Server.Hook };
  put(rel: string, body?: string | Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A log that says nothing. */
export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

/** A log that keeps its lines, each with its event. */
export function recording(): { log: Log; lines: Fields[] } {
  const lines: Fields[] = [];
  const write = (event: string, fields: Fields = {}) => void lines.push({ event, ...fields });
  const log: Log = { info: write, warn: write, error: write, child: () => log };
  return { log, lines };
}

/** A bucket on the local loop's S3, with a prefix, so that code that forgets the prefix fails. */
export async function start(options: { prefix?: string } = {}): Promise<TestBucket> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-s3-"));
  const calls: Parameters<S3Server.Hook>[0][] = [];
  const hook: TestBucket["hook"] = { answer: () => undefined };
  const credentials = { accessKeyId: "test", secretAccessKey: "test-secret" };
  const server = await S3Server.start({
    dir,
    buckets: ["test"],
    ...credentials,
    onRequest: (request) => {
      calls.push(request);
      return hook.answer(request);
    },
  });
  const bucket = Bucket.open(
    {
      bucket: "test",
      endpoint: server.url,
      region: "auto",
      prefix: options.prefix ?? "some/prefix",
      allowOverwrite: false,
      presignTtlS: 60,
      forcePathStyle: true,
      ...credentials,
    },
    8_000,
  );
  return {
    bucket,
    calls,
    hook,
    put: async (rel, body = `{"rel":"${rel}"}\n`) => {
      await Bucket.put(bucket, silent, rel, { body, contentType: "application/json" });
    },
    close: async () => {
      bucket.client.destroy();
      await server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
