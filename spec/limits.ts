/**
 * Numbers that must agree: SST deploys by them, the functions behave by them, the local loop imitates them. Plain data and
 * arithmetic; nothing of the runtime is imported here. What a single function is given is in functions.ts.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Limits of the platform; none can be raised. Sources: AWS's quota pages of API Gateway HTTP APIs, Lambda and SQS. */
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

/** Sizes of inputs and answers, as far as possible within the platform's limits. */
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
  /** An artifact kept in its row because the bucket was not available. */
  pendingArtifactBytes: 256 * KiB,
} as const;

/** Labels that runs are measured by. */
export const groundTruths = {
  /** Of the JSON, unpacked. */
  bytes: 100 * MiB,
} as const;

/** Batches: the most that one call, one run and one step of either may hold. */
export const batches = {
  maxConcurrency: 64,
  /** Lines of a manifest within the request. */
  inlineManifestLines: 1_000,
  manifestLines: 100_000,
  manifestBytes: 200 * MiB,
  manifestLineBytes: 64 * KiB,
  folderFiles: 10_000,
  /** Files of a folder without a picture's extension whose first bytes are read: one GET each, 32 at a time. */
  folderLooks: 500,
  multipartFiles: 500,
  /** Mistakes of a manifest that an answer names; the others are counted. */
  namedIssues: 100,
  /** Items that are listed in the batch artifact itself. */
  artifactItems: 10_000,
  /** Most items of a run for which a call makes an export that the run did not write, such as a workbook. */
  exportedItems: 10_000,
  /** Items of a run that is deleted within the call. */
  deletedAtOnce: 1_000,
} as const;

/**
 * How many of a run's messages are in the queue at a time. SQS looks for free groups among its first 120,000 messages
 * only, so a run that sent all of its messages could block every later run.
 */
export function windowOf(concurrency: number): { most: number; refillAt: number } {
  const most = Math.min(200, Math.max(12, 6 * concurrency));
  return { most, refillAt: Math.floor(most / 2) };
}

/** When secrets that expire are reported (core/readiness/expiries.ts), in days. */
export const expiries = {
  /** The alarm rings this long before the end. */
  warnDays: 14,
  /** A key made for a shorter time than this is meant to end: no alarm rings for it. */
  shortLivedDays: 28,
  /** Keys that end within this are listed, and those that have ended this long ago. */
  listDays: 30,
  endedDays: 7,
  mostKeys: 100,
} as const;

/** HTTP functions share at most this many processes on the local loop. */
export const httpInstances = 16;

/** Times in milliseconds, all scaled alike. A deployed stage runs at scale 1; tests run faster. */
export function times(timeScale = 1) {
  const scale = scaleOf(timeScale);
  return {
    ...callTimes(scale),
    ...leaseTimes(scale),
    ...ioTimes(scale),
    ...storedTimes(scale),
    ...probeTimes(scale),
    ...queuedTimes(scale),
    ...webhookTimes(scale),
    ...podTimes(scale),
  };
}
export type Times = ReturnType<typeof times>;

interface Scale {
  ms(value: number): number;
  /** For round trips of the machine itself, which a smaller scale does not make faster: at least 1 s of the value stays. */
  io(value: number): number;
}

function scaleOf(timeScale: number): Scale {
  const ms = (value: number) => Math.max(1, Math.round(value * timeScale));
  return { ms, io: (value) => Math.min(value, Math.max(1_000, ms(value))) };
}

/** One HTTP call. */
const callTimes = ({ ms, io }: Scale) => ({
  /** The start of an instance takes its time at any scale, and the gateway waits for it too. */
  gatewayTimeoutMs: Math.min(platform.gatewayTimeoutMs, Math.max(10_000, ms(platform.gatewayTimeoutMs))),
  /** Deadline of an HTTP call = min(timeEpoch + httpBudget, remaining time) − httpReserve; at it the call becomes 202. */
  httpBudgetMs: ms(29_000),
  httpReserveMs: ms(4_000),
  /** How often a call that waits (`Prefer: wait=N`) reads whether its extract has ended elsewhere. */
  waitPollMs: io(500),
  /** Hand-overs within this window count towards "do not ask the model server, hand over at once". */
  handoverWindowMs: ms(60_000),
  /** A verified key is trusted this long without SQL: a revoked key is refused everywhere after at most this. */
  keyCacheMs: ms(60_000),
  /** Last use of a key is written at most this often. */
  keyLastUsedMs: ms(60_000),
  idempotencyMs: ms(24 * 3_600_000),
});

/** How long work is held, and what the death of a worker costs (docs/operate.md). */
const leaseTimes = ({ ms }: Scale) => ({
  /** A lease outlives the invocation by this much; after it another worker may take the work over. */
  leaseGraceMs: ms(5_000),
  /**
   * A worker holds one picture for this long at a time. After its death the message comes back when `visibilityGrace` −
   * `leaseGrace` more have passed: two minutes after the last renewal.
   */
  leaseMs: ms(115_000),
  /**
   * A lease is renewed this often, so one renewed just before an outage of the database lives through 85 s of it. The
   * first renewal comes after this time too: most calls have ended by then and renew nothing.
   */
  leaseRenewMs: ms(30_000),
  /** Pause after a renewal that failed. */
  leaseRetryMs: ms(5_000),
  /** A queue function stops this long before its end, to record how far it came. */
  queueReserveMs: ms(5_000),
  /** A message stays invisible this much longer than its function may run. */
  visibilityGraceMs: ms(10_000),
});

/** One call to a dependency. */
const ioTimes = ({ ms, io }: Scale) => ({
  /** Longest wait for one probe of /readyz, and how long its answer is kept. */
  probeTimeoutMs: io(2_000),
  probeCacheMs: ms(5_000),
  /** One SQL round trip. This and the next are short enough for a put and a commit to fit into httpReserve. */
  databaseTimeoutMs: io(2_500),
  /** One call to the bucket. */
  storageTimeoutMs: io(2_500),
  /** The same for queue functions, which have more time and move large objects. */
  storageQueueTimeoutMs: io(15_000),
  /** One call to a queue. */
  queueTimeoutMs: io(5_000),
  /** A picture behind a URL: from the look-up of its host to its last byte. */
  imageUrlMs: ms(10_000),
});

/** What is stored. */
const storedTimes = ({ ms }: Scale) => ({
  /** How often the bucket is tested for refusing to overwrite. */
  bucketProofMs: ms(24 * 3_600_000),
  /** Uploads are removed after this. */
  uploadKeepMs: ms(7 * 24 * 3_600_000),
});

/** An outage of the model server, of the database or of the bucket. */
const probeTimes = ({ ms }: Scale) => ({
  /** How long an open breaker is believed before the model server is probed again. */
  breakerRetryMs: ms(5_000),
  /** The probe message's pauses, and how much longer than its pause it is believed to exist. */
  probeFirstDelayMs: ms(5_000),
  probeLaterDelayMs: ms(30_000),
  probeMessageMs: ms(60_000),
  /** First pause of a message that met an outage of the database or the bucket; doubled per receive up to the second. */
  weatherHoldMs: ms(2_000),
  weatherHoldMostMs: ms(60_000),
});

/** Queued work, and when it is taken for lost. */
const queuedTimes = ({ ms }: Scale) => ({
  /** Pauses before the second, third and later attempts of queued work. */
  requeueDelaysMs: [ms(2_000), ms(10_000), ms(60_000)],
  /** A run is stalled when its step was ordered, or its files were being received, and nothing happened for this long. */
  stepLostMs: ms(3 * 60_000),
  /** A run none of whose messages was taken for this long, while others' were: the earliest that one is sent again. */
  runStalledMs: ms(20 * 60_000),
  /** The sweep of a large run orders its next step after this, so that orders of other runs are not kept waiting. */
  urgentStepMs: ms(5_000),
  /** Reads of a queue's state that are closer together count as one; reconcile reads it each minute. */
  queueLookMs: ms(45_000),
  /** Reconcile: queued extracts whose message was never sent, or sent so long ago that the queue's state is read. */
  unsentGraceMs: ms(15_000),
  lostMessageMs: ms(6 * 60_000),
});

const webhookTimes = ({ ms, io }: Scale) => ({
  /**
   * Pauses before the later attempts to deliver a webhook, three days together, as the Standard Webhooks specification
   * advises (https://github.com/standard-webhooks/standard-webhooks, "Deliverability and reliability").
   */
  webhookDelaysMs: [
    ...[5_000, 5 * 60_000, 30 * 60_000].map(ms),
    ...[2, 5, 10, 14, 20, 24].map((hours) => ms(hours * 3_600_000)),
  ],
  /** How long a webhook's message is believed to exist, and after how long a silent receiver is given up. */
  webhookMessageMs: ms(10 * 60_000),
  /** An evaluation that runs and had no worker for so long has lost its message. */
  evaluationMessageMs: ms(10 * 60_000),
  webhookGiveUpMs: ms(4 * 24 * 3_600_000),
  /** How long a host that did not answer is not called, doubled each time up to the second. */
  webhookSilentMs: ms(60_000),
  webhookSilentMostMs: ms(3_600_000),
  webhookTimeoutMs: io(10_000),
});

const podTimes = ({ ms, io }: Scale) => ({
  /** One call to RunPod's API. */
  podOrderMs: io(10_000),
  /** How often the model server of a started pod is probed, and for how long. */
  podPollMs: ms(5_000),
  podWaitMs: ms(15 * 60_000),
});

/** Seconds after which asking again makes sense while an extract or a run is worked on (`Retry-After` of a 202). */
export const pollAfterS = 2;
