import * as Address from "#core/breaker/address";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Queue from "#core/queue/queue";
import type { RunServices } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import * as Limits from "#spec/limits";

/**
 * The clients and settings that the functions of core take. Each is opened once per instance, on first use. They are
 * getters, because a function has no address of a service that it is not linked to. Functions that only use a database
 * and a bucket pass these two themselves, so that their bundles have no client for queues.
 * @param bucket - `Bucket.connect()` for calls, `Bucket.patient()` behind a queue or the clock; undefined for functions
 *   without a bucket, whose bundles then have no client for it.
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
      return Address.at(Config.model());
    },
    get imageUrlHosts() {
      return Config.batchHosts() ?? Hosts.defaults;
    },
    get itemConcurrency() {
      return Config.itemConcurrency();
    },
    times: Limits.times(timeScale),
    version,
    debugMode,
  };
}
