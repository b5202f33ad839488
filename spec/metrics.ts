/**
 * The metrics of our own, by the names under which the functions write them and the alarms read them. They stay few:
 * CloudWatch is paid by metric, that is by each combination of a name and its dimensions, which are `service` and
 * `stage` alone.
 */
export const namespace = "OCRlty";
export const service = "ocrlty";

/**
 * 1 for each call that ended in 401, counted by CloudWatch itself in the gateway's access log. Those counts have no
 * dimensions but what a line says, so they stand in a namespace of their stage: `OCRlty/production`.
 */
export const refusedCalls = "RefusedCalls";

export const metrics = {
  /** Milliseconds of a model call that ended or ran out of time. */
  modelCallMs: "ModelCallMs",
  /** 1 for a model call that failed, 0 for one that did not: the average is the rate, the sample count the calls. */
  modelCallErrors: "ModelCallErrors",
  /** The same for attempts at pictures: 1 when the model was there and did not read one, 0 when it did. */
  itemErrors: "ItemErrors",
  /** 1 for each look at the model server that finds nobody there; only while work waits is it looked for at all. */
  modelAway: "ModelAway",
  /** Percent of the day's model time that one key used, the one that used most; only while others use it too. */
  keyShare: "KeyShare",
  /** How many secrets (settings and API keys) end within 14 days; only while there are any. */
  expiringSecrets: "ExpiringSecrets",
} as const;
