import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import type { RunServices } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import * as Limits from "#spec/limits";

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
    // A function without the model server has no address for it.
    get model() {
      return Config.model();
    },
    times: Limits.times(timeScale),
    version,
    debugMode,
  };
}

/** For a function that has no link to the bucket. */
export function withoutBucket(): Omit<Services, "bucket"> {
  const { timeScale, version, debugMode } = Config.app();
  return {
    ...{ db: Database.connect(), queues: Queue.connect(), model: Config.model() },
    ...{ times: Limits.times(timeScale), version, debugMode },
  };
}

/** The same for functions behind a queue or the clock. */
export function patient(): Services {
  return Object.defineProperties(services(), { bucket: { value: Bucket.patient() } });
}

const batch = {
  imageUrlHosts: { enumerable: true, get: () => Config.batchHosts() ?? Hosts.defaults },
};

/** The same for runs. `model` is there for functions that are linked to it. */
export function runServices(): RunServices {
  return Object.defineProperties(services(), batch) as RunServices;
}

/** The same for runs, behind a queue or the clock. */
export function patientRun(): RunServices {
  return Object.defineProperties(patient(), batch) as RunServices;
}
