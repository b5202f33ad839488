/**
 * Numbers that must agree: SST deploys with them, the functions use them, the local loop imitates them. Plain data and
 * arithmetic, without imports from the runtime. The timeout and memory of each function are in functions.ts.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Limits of the platform; none can be raised. Sources: AWS's quota pages for API Gateway HTTP APIs, Lambda and SQS. */
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

/** Sizes of inputs and answers, within the platform's limits. */
export const sizes = {
  /** Decoded picture in a JSON body: 4 MiB are 5.6 MB of base64 and fit Lambda's 6 MiB with the rest of the event. */
  inlineImageBytes: 4 * MiB,
  /** Our command line scales a picture down above this, so that base64 and JSON stay below the gateway's limits. */
  clientScaleDownBytes: 3.5 * 1000 * 1000,
  /** A picture in the bucket: an upload, or below the data root. */
  uploadImageBytes: 20 * MiB,
  /** A PDF there: a scan of many pages. */
  uploadPdfBytes: 50 * MiB,
  /** A picture or PDF behind `image_url`. */
  imageUrlBytes: 20 * MiB,
  imageMegapixels: 100,
  /** A larger answer is sent as a signed URL. */
  directAnswerBytes: 4 * MiB,
  /** A result up to this size is also stored in its row, so that lists read no artifacts. */
  rowResultBytes: 16 * KiB,
  /** An artifact up to this size can wait in its row during an outage of the bucket. */
  pendingArtifactBytes: 256 * KiB,
} as const;

/** Documents of several pages. */
export const documents = {
  /** Pages that a call reads which waits for its answer. */
  callPages: 10,
  /** Pages of an item of a batch, and of an extract that is queued from the start. */
  queuedPages: 50,
  /** Calls to the model that one worker makes about a document before it hands over to itself. */
  stepCalls: 4,
  /** Receipts that are cut out of one file. */
  cutReceipts: 50,
} as const;

/** Ground truths: the labels that runs are measured against. */
export const groundTruths = {
  /** The JSON after decompression. */
  bytes: 100 * MiB,
} as const;

/** Batches: the maximum for one call, one run, and one step of either. */
export const batches = {
  maxConcurrency: 64,
  /** The slots with which a run on auto begins if nothing is known about the model server. */
  firstSlots: 4,
  /** Lines of a manifest within the request. */
  inlineManifestLines: 1_000,
  manifestLines: 100_000,
  manifestBytes: 200 * MiB,
  manifestLineBytes: 64 * KiB,
  /** Tags of an item, and the characters of their names and values: an evaluation shows both in tables. */
  tags: 10,
  tagNameLength: 40,
  tagValueLength: 100,
  folderFiles: 10_000,
  /** Files of a folder without a picture's extension whose first bytes are read: one GET each, 32 at a time. */
  folderLooks: 500,
  multipartFiles: 500,
  /** How many mistakes of a manifest an answer lists; the rest are only counted. */
  namedIssues: 100,
  /** Items that are listed in the batch artifact itself. */
  artifactItems: 10_000,
  /** Most items of a run for which a call makes an export that the run did not write, such as a workbook. */
  exportedItems: 10_000,
  /** A run with up to this many items is deleted within the call. */
  deletedAtOnce: 1_000,
} as const;

/**
 * How many of a run's messages are in the queue at a time. SQS looks for available message groups only among the first
 * 120,000 messages, so a run that sent all its messages at once could block every later run.
 */
export function windowOf(concurrency: number): { most: number; refillAt: number } {
  const most = Math.min(200, Math.max(12, 6 * concurrency));
  return { most, refillAt: Math.floor(most / 2) };
}

/** When expiring secrets are reported (core/readiness/expiries.ts), in days. */
export const expiries = {
  /** The alarm starts this long before the expiry. */
  warnDays: 14,
  /** A key with a shorter lifetime than this is meant to expire: it raises no alarm. */
  shortLivedDays: 28,
  /** Keys that expire within this time are listed, and keys that expired less than this ago. */
  listDays: 30,
  endedDays: 7,
  mostKeys: 100,
} as const;

/** The most processes that all HTTP functions together may have on the local loop. */
export const httpInstances = 16;

/** Times in milliseconds, all multiplied by the scale. A deployed stage has scale 1; tests use a smaller one. */
export function times(timeScale = 1) {
  const scale = scaleOf(timeScale);
  return {
    ...callTimes(scale),
    ...leaseTimes(scale),
    ...ioTimes(scale),
    ...storedTimes(scale),
    ...probeTimes(scale),
    ...queuedTimes(scale),
    ...slotTimes(scale),
    ...webhookTimes(scale),
    ...podTimes(scale),
  };
}
export type Times = ReturnType<typeof times>;

interface Scale {
  ms(value: number): number;
  /** For real round trips, which a smaller scale does not make faster: never scaled below 1 s. */
  io(value: number): number;
}

function scaleOf(timeScale: number): Scale {
  const ms = (value: number) => Math.max(1, Math.round(value * timeScale));
  return { ms, io: (value) => Math.min(value, Math.max(1_000, ms(value))) };
}

/** One HTTP call. */
const callTimes = ({ ms, io }: Scale) => ({
  /** An instance takes the same time to start at any scale, and the gateway waits for it too. */
  gatewayTimeoutMs: Math.min(platform.gatewayTimeoutMs, Math.max(10_000, ms(platform.gatewayTimeoutMs))),
  /** Deadline of an HTTP call = min(timeEpoch + httpBudget, remaining time) − httpReserve; at it the call becomes 202. */
  httpBudgetMs: ms(29_000),
  httpReserveMs: ms(4_000),
  /** How often a waiting call (`Prefer: wait=N`) checks whether another worker has ended its extract. */
  waitPollMs: io(500),
  /** Hand-overs within this window count towards "do not ask the model server, hand over at once". */
  handoverWindowMs: ms(60_000),
  /**
   * A verified key is accepted this long without SQL, so a revoked key is refused everywhere after at most this time.
   */
  keyCacheMs: ms(60_000),
  /** Last use of a key is written at most this often. */
  keyLastUsedMs: ms(60_000),
  idempotencyMs: ms(24 * 3_600_000),
});

/** How long work is held, and the delay after a worker dies (docs/operate.md). */
const leaseTimes = ({ ms }: Scale) => ({
  /** A lease outlives the invocation by this much; after it another worker may take the work over. */
  leaseGraceMs: ms(5_000),
  /**
   * A worker holds one picture for this long at a time. If it dies, the message comes back after another
   * `visibilityGrace` − `leaseGrace`: two minutes after the last renewal.
   */
  leaseMs: ms(115_000),
  /**
   * A lease is renewed this often, so it survives an outage of the database of 85 s. The first renewal also comes after
   * this time: most calls have ended by then and need none.
   */
  leaseRenewMs: ms(30_000),
  /** Pause after a renewal that failed. */
  leaseRetryMs: ms(5_000),
  /** A queue function stops this long before its timeout, to record its progress. */
  queueReserveMs: ms(5_000),
  /** A message stays invisible this much longer than its function may run. */
  visibilityGraceMs: ms(10_000),
});

/** One call to a dependency. */
const ioTimes = ({ ms, io }: Scale) => ({
  /** The longest wait for one probe of /readyz, and how long its answer is cached. */
  probeTimeoutMs: io(2_000),
  probeCacheMs: ms(5_000),
  /** One SQL round trip. This and the next one are short enough that a put and a commit fit into httpReserve. */
  databaseTimeoutMs: io(2_500),
  /** One call to the bucket. */
  storageTimeoutMs: io(2_500),
  /** One call to the bucket from a queue function, which has more time and moves large objects. */
  storageQueueTimeoutMs: io(15_000),
  /** One call to a queue. */
  queueTimeoutMs: io(5_000),
  /** Fetching a picture by URL, from the DNS lookup to the last byte. */
  imageUrlMs: ms(10_000),
});

/** What is stored. */
const storedTimes = ({ ms }: Scale) => ({
  /** How often it is tested that the bucket refuses to overwrite. */
  bucketProofMs: ms(24 * 3_600_000),
  /** Uploads are removed after this. */
  uploadKeepMs: ms(7 * 24 * 3_600_000),
});

/** An outage of the model server, of the database or of the bucket. */
const probeTimes = ({ ms }: Scale) => ({
  /** How long a breaker stays open before the model server is probed again. */
  breakerRetryMs: ms(5_000),
  /** The pauses of the probe message, and how long after its pause it still counts as existing. */
  probeFirstDelayMs: ms(5_000),
  probeLaterDelayMs: ms(30_000),
  probeMessageMs: ms(60_000),
  /**
   * First pause of a message after an outage of the database or the bucket. It doubles with each receive, up to the
   * next value.
   */
  weatherHoldMs: ms(2_000),
  weatherHoldMostMs: ms(60_000),
});

/** Queued work, and when it counts as lost. */
const queuedTimes = ({ ms }: Scale) => ({
  /**
   * Time after which a worker makes no further call about a long document, and hands over to itself. The call that follows
   * has a whole invocation.
   */
  stepMs: ms(60_000),
  /** Pauses before the second, third and later attempts of queued work. */
  requeueDelaysMs: [ms(2_000), ms(10_000), ms(60_000)],
  /**
   * A run counts as stalled if its step was ordered, or its files were being received, and nothing happened for this
   * long.
   */
  stepLostMs: ms(3 * 60_000),
  /**
   * If no message of a run was received for this long, while messages of other runs were, its messages may be sent
   * again.
   */
  runStalledMs: ms(20 * 60_000),
  /** The sweep of a large run orders its next step after this time, so that orders of other runs do not wait. */
  urgentStepMs: ms(5_000),
  /** Reads of a queue's state that are closer together count as one; reconcile reads it each minute. */
  queueLookMs: ms(45_000),
  /** Reconcile: queued extracts whose message was never sent, or sent so long ago that the queue's state is read. */
  unsentGraceMs: ms(15_000),
  lostMessageMs: ms(6 * 60_000),
});

/** Runs on auto (core/run/slots). */
const slotTimes = ({ ms, io }: Scale) => ({
  /** The longest wait for the model server's `/metrics`. */
  loadTimeoutMs: io(1_500),
  /** The slots of a run on auto are checked at least this often, even if none of its items ends. */
  slotsLookMs: ms(45_000),
  slots: {
    /**
     * The pauses before a probe of more slots, and of fewer. Each doubles, up to its maximum, as long as probes find
     * nothing.
     */
    upMs: ms(30_000),
    upMostMs: ms(120_000),
    downMs: ms(45_000),
    downMostMs: ms(600_000),
    /** Older knowledge about a server is forgotten. */
    forgetMs: ms(30 * 60_000),
  },
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
  /** How long a webhook's message counts as existing. */
  webhookMessageMs: ms(10 * 60_000),
  /** A running evaluation without a worker for this long has lost its message. */
  evaluationMessageMs: ms(10 * 60_000),
  /** After how long a receiver that does not answer is given up. */
  webhookGiveUpMs: ms(4 * 24 * 3_600_000),
  /** How long a host that did not answer is left alone. It doubles each time, up to the next value. */
  webhookSilentMs: ms(60_000),
  webhookSilentMostMs: ms(3_600_000),
  webhookTimeoutMs: io(10_000),
});

const podTimes = ({ ms, io }: Scale) => ({
  /** One call to RunPod's API. */
  podOrderMs: io(10_000),
  /** How often the model server of a new pod is probed, and for how long. */
  podPollMs: ms(5_000),
  podWaitMs: ms(15 * 60_000),
  /** The manager: how long it holds its lease, and how often it looks while something is going on. */
  podLeaseMs: ms(120_000),
  podTickMs: ms(10_000),
  /** One invocation of the manager looks for this long. */
  podTurnMs: ms(31_000),
  /** An order without effect for this long was lost: the provider's status follows an order within seconds. */
  podOrderLostMs: ms(120_000),
  /** Vast.ai: a start without a GPU for this long gets none. */
  podQueueMs: ms(30_000),
  /** Most time that loading may take, the download of the weights at a first start included. */
  podLoadMs: ms(45 * 60_000),
  /** Pauses after failed starts. */
  podPausesMs: [2, 5, 15, 30, 60].map((minutes) => ms(minutes * 60_000)),
  /** Pause after every pod was refused for want of a GPU, which others may give back at any time. */
  podNoGpuMs: ms(5 * 60_000),
  /** The start that is expected before there was one. */
  podStartMs: ms(5 * 60_000),
  /** The first call to a model server that was just loaded. */
  podWarmUpMs: io(15_000),
});

/** Seconds after which to poll again while an extract or a run is in progress (`Retry-After` of a 202). */
export const pollAfterS = 2;
