import * as Config from "#core/config";
import type * as Database from "#core/db/database";
import * as Spent from "./spent.ts";

const hourMs = 3_600_000;

/** Dollars of the GPU, and how they were found. */
export interface Gpu {
  basis: "pod_sessions" | "gpu_cost_per_hour";
  provisional: boolean;
  usd: number;
  /** The part in which the pod waited; null at the operator's price. */
  idle: number | null;
}

/**
 * What a run's GPU cost: its part of the managed pod's sessions, else its model seconds at the operator's price.
 * @returns undefined where neither is known.
 */
export async function gpuOf(
  db: Database.Db,
  { runUid, modelMs }: { runUid: string; modelMs: number },
  gpuCostPerHour: number | undefined,
  now: Date = new Date(),
): Promise<Gpu | undefined> {
  const share = Config.app().podManaged ? await Spent.ofRunSoFar(db, runUid, now) : undefined;
  if (share !== undefined && share.usd !== null) {
    const { usd, idleUsd: idle, provisional } = share;
    return { basis: "pod_sessions", provisional, usd, idle };
  }
  if (gpuCostPerHour === undefined) return undefined;
  const usd = (modelMs / hourMs) * gpuCostPerHour;
  return { basis: "gpu_cost_per_hour", provisional: false, usd, idle: null };
}
