import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Queue from "#core/queue/queue";
import type { RunServices } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import * as Limits from "#spec/limits";

/**
 * The clients and settings that verbs of core take. Each is opened once per instance, on first use: getters, because a
 * function has no address of what it is not linked to. Functions with a database and a bucket alone pass these two
 * themselves, so that their bundles hold no client for queues.
 * @param bucket - `Bucket.connect()` for calls, `Bucket.patient()` behind a queue or the clock; undefined for functions
 *   without one, whose bundles then hold no client for it.
 */
export function services<B>(bucket: B): Omit<RunServices, "bucket"> & { bucket: B } {
  const { timeScale, version, debugMode } = Config.app();
  return {
    db: Database.connect(),
    bucket,
    get queues() {
      return Queue.connect();
    },
    get model() {
      return Config.model();
    },
    get imageUrlHosts() {
      return Config.batchHosts() ?? Hosts.defaults;
    },
    times: Limits.times(timeScale),
    version,
    debugMode,
  };
}
