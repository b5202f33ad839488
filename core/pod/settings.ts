import * as Config from "#core/config";
import type { Window } from "#core/daily-window";

export interface PodManager {
  provider: "runpod" | "vast";
  apiKey: string;
  apiUrl: string;
  /** At least one, in the order in which they are tried. */
  podIds: string[];
  idleStopMs: number;
  maxHoursPerDay: number | undefined;
  maxDollarsPerDay: number | undefined;
  keepWarm: Window | undefined;
}

/** What the pod's manager needs; undefined if it is off. @throws ConfigError. */
export function managed(): PodManager | undefined {
  return of(Config.environment());
}

/** The same of another environment, for commands and the loop. @throws ConfigError with the names of what is missing. */
export function of(env: Config.Env): PodManager | undefined {
  const { POD_MANAGER, OCRLTY_TIME_SCALE } = Config.parse("app", env);
  if (POD_MANAGER === "off") return undefined;
  Config.refuseBoth(env);
  const values = Config.parse("pod", env);
  const { POD_PROVIDER: provider } = values;
  const isVast = provider === "vast";
  const apiKey = isVast ? values.VAST_API_KEY : values.RUNPOD_API_KEY;
  const podIds = [...(values.POD_ID === undefined ? [] : [values.POD_ID]), ...(values.POD_IDS ?? [])];
  const missing = [
    ...(provider === undefined ? ["POD_PROVIDER"] : []),
    ...(podIds.length === 0 ? ["POD_ID"] : []),
    ...(apiKey === undefined ? [isVast ? "VAST_API_KEY" : "RUNPOD_API_KEY"] : []),
  ];
  if (provider === undefined || apiKey === undefined || podIds.length === 0)
    throw new Config.ConfigError(missing, `POD_MANAGER=on needs ${missing.join(" and ")}`);
  return {
    ...{ provider, apiKey, podIds: [...new Set(podIds)] },
    apiUrl: (isVast ? values.VAST_API_URL : values.RUNPOD_API_URL).replace(/\/+$/, ""),
    idleStopMs: Math.ceil(values.POD_IDLE_STOP_MINUTES * 60_000 * OCRLTY_TIME_SCALE),
    maxHoursPerDay: values.POD_MAX_HOURS_PER_DAY,
    maxDollarsPerDay: values.POD_MAX_DOLLARS_PER_DAY,
    keepWarm: values.POD_KEEP_WARM,
  };
}

interface Rented {
  /** Undefined: pods are not started or stopped. */
  apiKey: string | undefined;
  podId: string | undefined;
  /** Without a trailing slash. */
  apiUrl: string;
}

/** The rented GPU at RunPod and its API key, from a command's environment. @throws ConfigError. */
export function rentedOf(env: Config.Env): Rented {
  const values = Config.parse("pod", env);
  return {
    apiKey: values.RUNPOD_API_KEY,
    podId: values.POD_ID,
    apiUrl: values.RUNPOD_API_URL.replace(/\/+$/, ""),
  };
}
