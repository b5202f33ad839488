import type { Provider } from "./provider.ts";
import * as Runpod from "./runpod.ts";
import type { PodManager } from "./settings.ts";
import * as Vast from "./vast.ts";

const providers = { runpod: Runpod.provider, vast: Vast.provider } as const;

/** The provider that the settings name. @param timeoutMs - of one verb. */
export function providerOf({ provider, apiKey, apiUrl }: PodManager, timeoutMs: number): Provider {
  return providers[provider]({ apiKey, apiUrl, timeoutMs });
}
