import { pictureTimeoutMs } from "./functions.ts";

/**
 * The one place for numbers that must agree: SST reads them to deploy, the functions to behave, the local
 * loop to imitate. Plain data and arithmetic only: nothing of the runtime is imported here.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** What the platform imposes; none of it can be raised. Sources: AWS quotas pages of API Gateway HTTP APIs and Lambda. */
export const platform = {
  /** Body of an HTTP API request, as it arrives. */
  gatewayBodyBytes: 10 * MiB,
  /** Request line and headers together. */
  gatewayHeaderBytes: 10 * KiB,
  /** Integration timeout of an HTTP API. */
  gatewayTimeoutMs: 30_000,
  /** Synchronous invocation: event or answer as JSON, so a binary body counts as base64. */
  lambdaPayloadBytes: 6 * MiB,
  /** SQS: one message, and one SendMessageBatch in total. */
  sqsMessageBytes: 1 * MiB,
  sqsDelaySeconds: 900,
} as const;

/** Sizes of inputs and answers, as far as possible within what the platform imposes. */
export const sizes = {
  /** Decoded picture in a JSON body: 4 MiB are 5.6 MB of base64 and fit Lambda's 6 MiB with the rest of the event. */
  inlineImageBytes: 4 * MiB,
  /** Our command line scales a picture down above this, so that base64 and JSON stay below the gateway's limits. */
  clientScaleDownBytes: 3.5 * 1000 * 1000,
  uploadImageBytes: 20 * MiB,
  imageUrlBytes: 10 * MiB,
  imageMegapixels: 100,
  /** An answer above this is a signed URL instead. */
  directAnswerBytes: 4 * MiB,
  /** A result kept in its row, so that lists need no artifact. */
  rowResultBytes: 16 * KiB,
  /** An artifact that waits in its row because the bucket was away. */
  pendingArtifactBytes: 256 * KiB,
  /** A stored answer of the model; longer raw text is cut and marked. */
  rawTextBytes: 64 * KiB,
} as const;

/** Labels that runs are measured by. */
export const groundTruths = {
  /** Of the JSON, unpacked. */
  bytes: 100 * MiB,
} as const;

/** Batches: what one call, one run and one step of either may hold. */
export const batches = {
  maxConcurrency: 64,
  /** Lines of a manifest within the request. */
  inlineManifestLines: 1_000,
  manifestLines: 100_000,
  manifestBytes: 200 * MiB,
  manifestLineBytes: 64 * KiB,
  folderFiles: 10_000,
  /** Files of a folder without the extension of a picture that are looked into: a GET of some bytes each, 32 at a time. */
  folderLooks: 500,
  multipartFiles: 500,
  /** Mistakes of a manifest that are named; the others are counted. */
  namedIssues: 100,
  /** Items that are listed in the batch artifact itself. */
  artifactItems: 10_000,
  /** Items of a run of which a call makes what was not written when it ended, such as a workbook. */
  exportedItems: 10_000,
  /** Items of a run that is deleted within the call. */
  deletedAtOnce: 1_000,
} as const;

/**
 * How many of a run's messages are in the queue at a time: SQS looks for free groups among its first 120,000 messages
 * only, and whoever comes later waits for what is in front.
 */
export function windowOf(concurrency: number): { most: number; refillAt: number } {
  const most = Math.min(200, Math.max(12, 6 * concurrency));
  return { most, refillAt: Math.floor(most / 2) };
}

/** When secrets that end are told of (core/readiness/expiries.ts), in days. */
export const expiries = {
  /** So long before the end it rings. */
  warnDays: 14,
  /** A key that was made for less is meant to end, and rings nobody. */
  shortLivedDays: 28,
  /** Keys that end within this are listed, and those that have ended this long ago. */
  listDays: 30,
  endedDays: 7,
  mostKeys: 100,
} as const;

/** HTTP functions share at most this many processes on the local loop. */
export const httpInstances = 16;

/**
 * A received message is invisible for its function's timeout and this much longer, until the function has said for how
 * long, which is its first step: what a kill before that step costs, and in a group everything behind it. AWS refuses less
 * than the timeout, and advises six times as much so that a mapping can try again what was throttled. Ours need no such
 * room: a message that comes up meanwhile is received once more, and finds its row held (docs/operate.md, "What a kill
 * costs").
 */
export const visibilityBeyondMs = 30_000;

/**
 * Nobody who had a picture when its extract or run was deleted still has it after this: no invocation lives so long. What
 * he wrote meanwhile goes then.
 */
export const lateWriterMs = 3 * pictureTimeoutMs;

/** Times in milliseconds, all scaled alike. A deployed stage runs at scale 1; tests run faster. */
export function times(timeScale = 1) {
  const ms = (value: number) => Math.max(1, Math.round(value * timeScale));
  // A machine's own round trips do not get faster with the scale.
  const io = (value: number) => Math.min(value, Math.max(1_000, ms(value)));
  return {
    // At any scale an instance takes its time to start, for which the gateway waits as well.
    gatewayTimeoutMs: Math.min(platform.gatewayTimeoutMs, Math.max(10_000, ms(platform.gatewayTimeoutMs))),
    /** Deadline of an HTTP call = min(timeEpoch + httpBudget, remaining time) − httpReserve; at it the call becomes 202. */
    httpBudgetMs: ms(29_000),
    httpReserveMs: ms(4_000),
    /** A lease outlives the invocation by this much; what is left afterwards is up for take-over. */
    leaseGraceMs: ms(5_000),
    /**
     * Whoever works on one picture holds it for this long at a time. Its message comes back when `visibilityGrace` −
     * `leaseGrace` more are over: two minutes after the last renewal, which is all that a kill costs.
     */
    leaseMs: ms(115_000),
    /**
     * A lease is renewed this often, so one that just was lives through an outage of 85 s. The first renewal comes after
     * this time, too: usual calls are over by then and renew nothing.
     */
    leaseRenewMs: ms(30_000),
    /** When a renewal failed, the next comes after this. */
    leaseRetryMs: ms(5_000),
    /** A queue function stops this long before its end, to write down how far it came. */
    queueReserveMs: ms(5_000),
    /** A message stays invisible this much longer than its function may run. */
    visibilityGraceMs: ms(10_000),
    /** Longest wait for one probe of /readyz, and how long its answer is kept. */
    probeTimeoutMs: io(2_000),
    probeCacheMs: ms(5_000),
    /** A verified key is trusted this long without SQL: a revoked key is refused everywhere after at most this. */
    keyCacheMs: ms(60_000),
    /** Last use of a key is written at most this often. */
    keyLastUsedMs: ms(60_000),
    /** One SQL round trip. Like the next one, short enough for a put and a commit to fit into httpReserve. */
    databaseTimeoutMs: io(2_500),
    /** One call to the bucket. */
    storageTimeoutMs: io(2_500),
    /** The same for queue functions, which have time and move large objects. */
    storageQueueTimeoutMs: io(15_000),
    /** One call to a queue. */
    queueTimeoutMs: io(5_000),
    idempotencyMs: ms(24 * 3_600_000),
    /** Whether the bucket refuses to overwrite is tried out again after this. */
    bucketProofMs: ms(24 * 3_600_000),
    /** A picture behind a URL: from the look-up of its host to its last byte. */
    imageUrlMs: ms(10_000),
    /** Uploads are removed after this. */
    uploadKeepMs: ms(7 * 24 * 3_600_000),
    /** How often a call that waits (`Prefer: wait=N`) looks whether somebody else has ended its extract. */
    waitPollMs: io(500),
    /** Hand-overs within this window count towards "ask no more, hand over at once". */
    handoverWindowMs: ms(60_000),
    /** How long an open breaker is believed before somebody looks again. */
    breakerRetryMs: ms(5_000),
    /** The probe message's pauses, and how long one is believed to be alive beyond its pause. */
    probeFirstDelayMs: ms(5_000),
    probeLaterDelayMs: ms(30_000),
    probeMessageMs: ms(60_000),
    /** Pauses before the second, third and later attempts of queued work. */
    requeueDelaysMs: [ms(2_000), ms(10_000), ms(60_000)],
    /** A run whose step was ordered, or whose files were being received, and that has been silent for this long. */
    stepLostMs: ms(3 * 60_000),
    /** A run none of whose messages was taken for this long, while others' were: the earliest that one is sent again. */
    runStalledMs: ms(20 * 60_000),
    /** A sweep of a large run hands over to itself after this, so that other runs' orders are not kept waiting. */
    urgentStepMs: ms(5_000),
    /** Looks into a queue that are closer together count as one; reconcile looks each minute. */
    queueLookMs: ms(45_000),
    /**
     * Pauses before the later attempts to deliver a webhook, three days together, as the Standard Webhooks specification
     * advises (https://github.com/standard-webhooks/standard-webhooks, "Deliverability and reliability").
     */
    webhookDelaysMs: [
      ...[5_000, 5 * 60_000, 30 * 60_000].map(ms),
      ...[2, 5, 10, 14, 20, 24].map((hours) => ms(hours * 3_600_000)),
    ],
    /** How long a webhook's message is believed to be under way, and how long a receiver may be silent before it is given up. */
    webhookMessageMs: ms(10 * 60_000),
    webhookGiveUpMs: ms(4 * 24 * 3_600_000),
    /** How long a host that did not answer is left alone, doubled each time up to the second. */
    webhookSilentMs: ms(60_000),
    webhookSilentMostMs: ms(3_600_000),
    webhookTimeoutMs: io(10_000),
    /** First pause of a message that met a storage that is away; doubled with each receive up to the second. */
    weatherHoldMs: ms(2_000),
    weatherHoldMostMs: ms(60_000),
    /** What RunPod has for one order or question; how often a started pod's model server is looked for, and how long. */
    podOrderMs: io(10_000),
    podPollMs: ms(5_000),
    podWaitMs: ms(15 * 60_000),
    /** Reconcile: queued extracts whose message was never sent, or sent so long ago that the queue is looked into. */
    unsentGraceMs: ms(15_000),
    lostMessageMs: ms(6 * 60_000),
  };
}
export type Times = ReturnType<typeof times>;
