import { setTimeout as sleep } from "node:timers/promises";
import type { Bundle } from "#local/bundle/bundle";
import type * as GatewayServer from "#local/gateway/server";
import type * as Lock from "#local/home/lock";
import type * as LambdaPool from "#local/lambda/pool";
import type * as Reaper from "#local/lambda/reaper";
import type * as ModelProcess from "#local/model-process";
import type { QueueServer } from "#local/queue/server";
import type { Sources } from "#local/queue/wiring";
import type * as S3Server from "#local/s3/server";
import type * as SqlServer from "#local/sql/server";
import type { Log } from "#local/terminal/loop-log";

/** The parts of a loop that have been started so far. */
export interface Parts {
  lock?: Lock.Lock;
  log?: Log;
  reaper?: Reaper.Reaper;
  gateway?: GatewayServer.Gateway;
  lambda?: LambdaPool.Lambda;
  model?: ModelProcess.ModelProcess;
  bucket?: S3Server.S3Server;
  database?: SqlServer.SqlServer;
  queues?: Omit<QueueServer, "counts">;
  sources?: Sources;
  bundle?: Bundle;
  urlFile?: { remove(): void };
}

/** Ends the parts from the outside in: first callers, then functions, then the services they use, then the lock. */
export async function end(parts: Parts, graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  const left = () => Math.max(0, deadline - Date.now());
  parts.urlFile?.remove();
  const stopped = parts.sources?.stop();
  await parts.gateway?.close(graceMs);
  await Promise.race([stopped, sleep(left(), undefined, { ref: false })]);
  await parts.lambda?.close(left());
  await stopped;
  await Promise.all(
    [parts.model, parts.bucket, parts.database, parts.queues, parts.reaper].map((part) => part?.close()),
  );
  parts.bundle?.release();
  parts.log?.close();
  parts.lock?.release();
}
