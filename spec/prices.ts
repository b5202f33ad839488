/**
 * List prices in US dollars, without free tiers and tax, as docs/operate/cost.md uses them. What a GPU costs is not here: a
 * pod's rate is recorded when it starts, and GPU_COST_PER_HOUR is the operator's.
 *
 * Sources, read on `readOn`: AWS's pricing pages of Lambda (arm64, first tier), API Gateway (HTTP API), SQS, CloudWatch and
 * EC2 (data transfer out), all us-east-1; Cloudflare's of R2 (standard storage); Turso's (smallest paid plan).
 */

/** The day on which the pages were read; answers name it, so that a figure can be checked. */
export const readOn = "2026-11-23";

const million = 1e6;
const gigabyte = 1e9;

export const prices = {
  /** A unit is 512 KB of a request's body, or a part of that. */
  gatewayUnit: 1 / million,
  gatewayUnitBytes: 512_000,
  lambdaGbSecond: 0.0000133334,
  lambdaRequest: 0.2 / million,
  sqsFifoRequest: 0.5 / million,
  sqsRequest: 0.4 / million,
  logByte: 0.5 / gigabyte,
  /** Out of AWS, to the model server and to the bucket. */
  trafficByte: 0.09 / gigabyte,
  bucketWrite: 4.5 / million,
  bucketRead: 0.36 / million,
  bucketByteMonth: 0.015 / gigabyte,
  /** What runs all month whatever is read: the minute's functions, polling, alarms, the database's plan. */
  fixedMonth: 0.1 + 2.46 + 7.5 + 4.99,
  /** A pod's volume for the weights while it is stopped; a month of 40 GB. */
  volumeMonth: 40 * 0.2,
} as const;
