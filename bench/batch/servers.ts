/** Database, bucket and queues without functions, for a planner that is measured in a process of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Bucket from "#core/bucket/bucket";
import type * as Database from "#core/db/database";
import * as QueueServer from "#local/queue/server";
import { queues as queueSpecs, urlVariable } from "#spec/queues";
import * as TestBucket from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";

export interface Servers {
  readonly db: Database.Db;
  readonly bucket: Bucket.Bucket;
  /** The environment that a function gets. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const region = "us-east-1";

/** Starts them, empty. */
export async function start(): Promise<Servers> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-bench-"));
  const database = await TestDatabase.start();
  const store = await TestBucket.start();
  const { plan, item, single, later } = queueSpecs;
  const queues = await QueueServer.start({
    dir,
    queues: { plan, item, single, later },
    timeScale: 1,
    region,
  });
  const { settings } = store.bucket;
  return {
    db: database.db,
    bucket: store.bucket,
    env: {
      OCRLTY_STAGE: "local",
      LOG_LEVEL: "ERROR",
      DATABASE_URL: database.url,
      DATABASE_AUTH_TOKEN: database.authToken,
      S3_BUCKET: settings.bucket,
      S3_ENDPOINT_URL: settings.endpoint ?? "",
      S3_REGION: settings.region,
      S3_PREFIX: settings.prefix,
      S3_FORCE_PATH_STYLE: "1",
      S3_ACCESS_KEY_ID: settings.accessKeyId,
      S3_SECRET_ACCESS_KEY: settings.secretAccessKey,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_ENDPOINT_URL_SQS: queues.url,
      ...Object.fromEntries(Object.entries(queues.queues).map(([name, { url }]) => [urlVariable(name), url])),
    },
    close: async () => {
      await queues.close();
      await store.close();
      await database.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
