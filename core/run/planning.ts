import type { ExtractError } from "./schema.ts";

/** How far the check of a run's source has come. */
export type Planning =
  /** The files of a multipart call are being stored. */
  | { phase: "receiving" }
  /** Lines of a stored manifest are being checked; `offset` bytes of this version of the object are done. */
  | {
      phase: "manifest";
      objectKey: string;
      etag: string;
      offset: number;
      line: number;
      /** Items found so far; those without a mistake have rows. */
      rows: number;
      limit: number | null;
      /** The first mistakes. One of them is enough for the run to fail, but the rest is still checked. */
      issues: ExtractError[];
      issueCount: number;
      /** True if the manifest is our list of a folder, which is removed after the planning. */
      temporary: boolean;
    }
  /** Items of another run are being taken over, in order. */
  | { phase: "rerun"; sourceRunUid: string; afterIndex: number; rows: number; only: "all" | "failed" };
