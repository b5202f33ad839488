import * as Bucket from "#core/artifact/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/client";
import type { Services } from "#core/extraction/extraction";
import * as Limits from "#infra/limits";

/** The open clients and settings that verbs of core take; each is made once an instance, on first use. */
export function services(): Services {
  const { timeScale, version } = Config.app();
  return {
    db: Database.connect(),
    bucket: Bucket.connect(),
    model: Config.model(),
    times: Limits.times(timeScale),
    version,
  };
}
