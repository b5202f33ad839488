import { sizes } from "#spec/limits";
import type { SegmentSize } from "./archive.ts";

/** How a backup is cut. Tests and benchmarks bring smaller numbers. */
export interface Limits {
  /** Up to this much is made within the call that asks; more is counted no further. */
  direct: { objects: number; bytes: number; listCalls: number };
  /** Up to this much is answered as bytes. */
  answerBytes: number;
  segment: SegmentSize;
  /** Of one part of the upload: all are alike but the last, as R2 wants it; 5 MiB at least. */
  partBytes: number;
  /** A step hands over after this many segments, or when its time is up. */
  segmentsPerStep: number;
  /** A step begins no segment in this last share of its invocation: the last segment and the manifest must fit. */
  reserveShare: number;
  /** For this long the same request gets the finished archive: longer than a poll, too short to be taken for new. */
  reuseMs: number;
  /** A job without progress for this long is ordered again by the next poll. */
  idleMs: number;
  /** What lies under `backups/` is of no use after this; the bucket's lifecycle is as long. */
  keepMs: number;
  retryAfterS: number;
}

const MiB = 1024 * 1024;

/**
 * What a deployed stage runs with. 300 artifacts are read in about a second; their 16 MiB are the most that is held
 * in memory. Deflate looks back 32 KiB, so segments of 4 MiB cost no compression.
 */
export function limits(timeScale = 1): Limits {
  return {
    direct: { objects: 300, bytes: 16 * MiB, listCalls: 40 },
    answerBytes: sizes.directAnswerBytes,
    segment: { bytes: 4 * MiB, objects: 500 },
    partBytes: 8 * MiB,
    segmentsPerStep: 200,
    reserveShare: 1 / 3,
    reuseMs: 10 * 60_000 * timeScale,
    idleMs: 20_000 * timeScale,
    keepMs: 24 * 3_600_000 * timeScale,
    retryAfterS: 5,
  };
}
