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
      /** Items found so far; those without a mistake have rows. */
      rows: number;
      limit: number | null;
      /** The first mistakes; with one of them no run comes of it, but the rest is checked. */
      issues: ExtractError[];
      issueCount: number;
      /** The manifest was made by us (a folder's list) and goes with the planning. */
      temporary: boolean;
    }
  /** Items of another run are being taken over, in their order. */
  | { phase: "rerun"; sourceRunUid: string; afterIndex: number; rows: number; only: "all" | "failed" };
