import * as Bucket from "#core/artifact/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/client";
import type { Services } from "#core/extraction/services";
import * as Queue from "#core/queue/queue";
import * as Limits from "#infra/limits";

/** The open clients and settings that verbs of core take; each is made once an instance, on first use. */
export function services(): Services {
  const { timeScale, version, debugMode } = Config.app();
  return {
    db: Database.connect(),
    bucket: Bucket.connect(),
    // Looked at only by calls that are handed over.
    get queues() {
      return Queue.connect();
    },
    model: Config.model(),
    times: Limits.times(timeScale),
    version,
    debugMode,
  };
}

/** The same for functions behind a queue or the clock. */
export function patient(): Services {
  return Object.defineProperties(services(), { bucket: { value: Bucket.patient() } });
}
