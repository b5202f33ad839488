import type { AppError } from "#core/error";

/*
 * A company that rents out GPUs by the hour. Another one is a file beside runpod.ts and vast.ts, and a line in
 * providers.ts.
 */

/**
 * `queued`: it was ordered to start, and no GPU is free for it so far. `broken`: it does not recover by itself.
 * `unknown`: the provider reports an unknown state, so nothing is ordered.
 */
type Lifecycle = "down" | "queued" | "starting" | "up" | "stopping" | "broken" | "unknown";

/** A pod as its provider sees it. `up` means that its container runs, not that its model server answers. */
export interface Look {
  state: Lifecycle;
  /** Where its model server is or will be, such as `https://…/v1`; undefined if it is not known yet. */
  address: string | undefined;
  /** USD an hour while it runs; undefined if the provider does not say, or says nothing sensible. */
  ratePerHour: number | undefined;
  /** When it was last started; undefined if the provider does not say, or it is down. */
  since: Date | undefined;
}

/** US dollars of a day. */
export interface Bill {
  /** For the time that it ran. */
  runningUsd: number;
  /** For its disk, running or not. */
  diskUsd: number;
}

/** All verbs throw AppError; `kindOf` says what that means. No message contains the key, an address or an answer. */
export interface Provider {
  readonly name: string;
  look(podId: string): Promise<Look>;
  /** Returns when the order is taken. It changes nothing about a pod that is up. */
  start(podId: string): Promise<void>;
  stop(podId: string): Promise<void>;
  /** What a UTC day of this pod costs by the provider's own bill, which may change for some hours after the day. */
  billed?(podId: string, day: Date): Promise<Bill>;
  /** Whether a **new** pod like this one would find a GPU; undefined if this is not known. Never throws. */
  capacity?(podId: string): Promise<boolean | undefined>;
}

/**
 * What the provider's refusal means: the key is refused, the pod does not exist, no GPU is free for it, the order is
 * refused for another reason, too many calls were made, or there is no proper answer.
 */
export type Trouble = "key_refused" | "pod_gone" | "no_gpu" | "order_refused" | "slow_down" | "provider_away";

/** The reason in the details of an error about a pod without a GPU. */
export const noGpu = "no_gpu";

/** The meaning of an error that a verb of a provider threw. */
export function kindOf(error: AppError): Trouble {
  if (error.details?.reason === noGpu) return "no_gpu";
  switch (error.code) {
    case "forbidden":
    case "unauthorized":
      return "key_refused";
    case "not_found":
    case "invalid_request":
      return "pod_gone";
    case "conflict":
      return "order_refused";
    case "rate_limited":
      return "slow_down";
    default:
      return "provider_away";
  }
}
