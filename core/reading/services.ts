import type { Bucket } from "#core/bucket/bucket";
import type * as Config from "#core/config";
import type { Db } from "#core/db/database";
import type { Decoder } from "#core/document/decoder";
import type { Queues } from "#core/queue/queue";
import type { Times } from "#spec/limits";

/** The services that an extract needs, as plain values and open clients. */
export interface Services {
  db: Db;
  bucket: Bucket;
  queues: Queues;
  model: Config.Model;
  times: Times;
  version: string;
  debugMode: boolean;
  /** A decoder to use instead of the instance's own. */
  decoder?: Decoder | undefined;
}
