import type * as Document from "#core/document/document";
import type { Log } from "#core/log";
import type * as Override from "#core/task/override";
import type * as OwnSchema from "#core/task/own-schema";
import type * as Task from "#core/task/task";
import type { Split } from "./page-numbers.ts";
import type { Piece } from "./pages.ts";
import type { Artifact } from "./schema.ts";
import type { Steps } from "./stored-call.ts";

/** One document, one task, and the time for it. */
export interface Work {
  task: Task.Task;
  document: Document.Document;
  /** The pages to read, from 1, at least one; in this order. */
  pages: readonly number[];
  requestId: string;
  /** When the artifact was created. Two-digit years are read by it, so that a repeat gives the same values. */
  createdAt: Date;
  /** Epoch milliseconds at which the model call is cut off. */
  deadline: number;
  signal: AbortSignal;
  log: Log;
  /** The caller's debug options; `task` already contains their changes. */
  debug?: Override.Debug | undefined;
  /** If false, the pages are not looked at. */
  look?: boolean | undefined;
  /** `auto`: several receipts on one picture, and several documents in one file, are read separately. */
  split?: Split | undefined;
  /** Set if the work is one part of a file that is split. */
  part?: Part | undefined;
  /** Where the calls about a long document are stored; undefined if there is only one step. */
  steps?: Steps | undefined;
  /** A lost connection ends the attempt, so that the picture can be asked alone. */
  endOnSuspect?: boolean | undefined;
  /** True if a caller waits: an attempt that runs out of time continues in the queue and is not lost. */
  handsOver?: boolean | undefined;
  /** Instead of the task's own validation. */
  validate?: OwnSchema.Overridden["validate"] | undefined;
}

/** A page that is read by itself, or a receipt that was cut out of one. */
interface Part {
  /** Counted from 0. */
  at: number;
  /** True if no part before it has print: the contents of the file as a whole are listed with this part. */
  isFirst: boolean;
  /** The parts of the whole file, in their order. */
  plan: Piece[][];
  /** Calls about the parts before it: calls are numbered through the file. */
  callsBefore: number;
}

/** How the model is asked, as recorded in the artifact. */
export type Settings = NonNullable<Artifact["request"]>;
