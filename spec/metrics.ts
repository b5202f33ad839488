/**
 * The names of our own metrics, which the functions write and the alarms read. There are few on purpose: CloudWatch
 * charges for each combination of name and dimensions. The only dimensions are `service` and `stage`.
 */
export const namespace = "OCRlty";
export const service = "ocrlty";

/**
 * 1 for each call that ended in 401, counted by CloudWatch in the gateway's access log. Such a metric can take its
 * dimensions only from the log line, so it has a namespace for each stage: `OCRlty/production`.
 */
export const refusedCalls = "RefusedCalls";

export const metrics = {
  /** Milliseconds of a model call that ended or ran out of time. */
  modelCallMs: "ModelCallMs",
  /** 1 for a model call that failed, 0 for one that did not: the average is the rate, the sample count the calls. */
  modelCallErrors: "ModelCallErrors",
  /**
   * The same for attempts at pictures: 1 if the model server answered and the picture was not read, 0 if it was read.
   */
  itemErrors: "ItemErrors",
  /** 1 for each probe that gets no answer from the model server. It is only probed while work waits. */
  modelAway: "ModelAway",
  /** The largest share of the day's model time that one key used, in percent; only while other keys use it too. */
  keyShare: "KeyShare",
  /** How many secrets (settings and API keys) expire within 14 days; only written while there are any. */
  expiringSecrets: "ExpiringSecrets",
  /** 1 for each look of the pod's manager that found what an alarm of the pod is about; only with POD_MANAGER=on. */
  podFailed: "PodFailed",
  podNoCapacity: "PodNoCapacity",
  podOrphan: "PodOrphan",
  podBudget: "PodBudget",
  podProvider: "PodProvider",
} as const;
