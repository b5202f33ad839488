/**
 * The metrics of our own, by the names under which the functions write them and the alarms read them. They stay few:
 * CloudWatch is paid by metric, that is by each combination of a name and its dimensions, which are `service` and
 * `stage` alone.
 */
export const namespace = "OCRlty";
export const service = "ocrlty";

export const metrics = {
  /** Milliseconds of a model call that ended or ran out of time. */
  modelCallMs: "ModelCallMs",
  /** 1 for a model call that failed, 0 for one that did not: the average is the rate, the sample count the calls. */
  modelCallErrors: "ModelCallErrors",
  /** The same for attempts at pictures: 1 when the model was there and did not read one, 0 when it did. */
  itemErrors: "ItemErrors",
  /** 1 for each look at the model server that finds nobody there; only while work waits is it looked for at all. */
  modelAway: "ModelAway",
} as const;
