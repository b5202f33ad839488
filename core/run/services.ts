import type { Services } from "#core/reading/services";

/** The services that runs need. */
export type RunServices = Services & {
  /** Hosts that manifests may name (core/run/source/hosts.ts). */
  imageUrlHosts: readonly string[];
  /** Most items at work at once, of all runs together (`ITEM_MAX_CONCURRENCY`). */
  itemConcurrency: number;
};

/** Without the model server: for planning and removal. */
export type RunStores = Omit<RunServices, "model">;
