import type { ExtractError } from "./schema.ts";

/** How far the check of a run's source came. */
export type Planning =
  /** The files of a multipart call are being stored. */
  | { phase: "receiving" }
  /** Lines of a stored manifest are being checked; `offset` bytes of exactly this object are done. */
  | {
      phase: "manifest";
      objectKey: string;
      etag: string;
      offset: number;
      line: number;
      /** Items found so far; they have rows as long as there is no mistake. */
      rows: number;
      limit: number | null;
      /** The first mistakes; rows are no longer inserted once there is one. */
      issues: ExtractError[];
      issueCount: number;
      /** The manifest was made by us (a folder's list) and goes with the planning. */
      temporary: boolean;
    }
  /** Items of another run are being taken over, in their order. */
  | { phase: "rerun"; sourceRunUid: string; afterIndex: number; rows: number; only: "all" | "failed" };
