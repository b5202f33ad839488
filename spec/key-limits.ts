/** What a key may use; null is no limit. A module without imports: functions that look at no keys name it too. */
export interface KeyLimits {
  readonly requestsPerMinute: number | null;
  /** Pictures a day (UTC), single ones and those of batches together. */
  readonly itemsPerDay: number | null;
  /** Once so many seconds of the model server's time were used on a day (UTC), nothing new begins. */
  readonly modelSecondsPerDay: number | null;
  readonly maxRunItems: number | null;
  /** Single extracts that calls and workers have at once, and the largest `concurrency` of a run. */
  readonly maxInFlight: number | null;
  /** What of the key lies in the bucket: pictures, artifacts, results, backups. */
  readonly maxStoredBytes: number | null;
  readonly maxStoredObjects: number | null;
  /** Days after which what the key made is removed; null: as the stage's setting says. */
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
