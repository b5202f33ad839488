import type { Services } from "#core/reading/services";

/** What a run needs of the world. */
export type RunServices = Services & {
  /** Hosts that manifests may name (core/run/source/hosts.ts). */
  imageUrlHosts: readonly string[];
};

/** Without the model server: for who plans and tidies up. */
export type RunStores = Omit<RunServices, "model">;
