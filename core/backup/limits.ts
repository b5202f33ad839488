import { sizes } from "#spec/limits";
import type { SegmentSize } from "./archive.ts";

/** Sizes of a backup's parts and steps. Tests and benchmarks use smaller numbers. */
export interface Limits {
  /** The most that is made within the requesting call; counting stops there. */
  direct: { objects: number; bytes: number; listCalls: number };
  /** The most that is returned as bytes. */
  answerBytes: number;
  segment: SegmentSize;
  /** Size of one part of the upload. R2 requires all parts but the last to have the same size, at least 5 MiB. */
  partBytes: number;
  /** A step hands over after this many segments, or when its time is up. */
  segmentsPerStep: number;
  /**
   * In this last share of its time a step begins no segment, so that the current segment and the manifest still fit.
   */
  reserveShare: number;
  /**
   * For this long, the same request returns the finished archive: longer than the interval of polls, and short enough
   * that the archive still counts as current.
   */
  reuseMs: number;
  /** A job without progress for this long is ordered again by the next poll. */
  idleMs: number;
  /** Objects under `backups/` are useless after this time; the bucket's lifecycle rule has the same. */
  keepMs: number;
  retryAfterS: number;
}

const MiB = 1024 * 1024;

/**
 * The limits of a deployed stage. 300 artifacts are read in about a second; at most 16 MiB of them are in memory.
 * Deflate looks back 32 KiB, so segments of 4 MiB do not reduce compression.
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
