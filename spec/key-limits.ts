/**
 * What a key may use; null means no limit. This module has no imports, because functions that check no keys import it
 * too.
 */
export interface KeyLimits {
  readonly requestsPerMinute: number | null;
  /** Pictures a day (UTC), of single extracts and of runs together. */
  readonly itemsPerDay: number | null;
  /** Once this many seconds of model time were used on a day (UTC), no new work begins. */
  readonly modelSecondsPerDay: number | null;
  readonly maxRunItems: number | null;
  /** The most single extracts that calls and workers handle at once, and the largest `concurrency` of a run. */
  readonly maxInFlight: number | null;
  /** The most bytes that the bucket may hold for the key: pictures, artifacts, results, backups. */
  readonly maxStoredBytes: number | null;
  readonly maxStoredObjects: number | null;
  /** Days after which what the key made is removed; null: the stage's setting decides. */
  readonly retentionDays: number | null;
}

export const noLimits: KeyLimits = {
  requestsPerMinute: null,
  itemsPerDay: null,
  modelSecondsPerDay: null,
  maxRunItems: null,
  maxInFlight: null,
  maxStoredBytes: null,
  maxStoredObjects: null,
  retentionDays: null,
};
