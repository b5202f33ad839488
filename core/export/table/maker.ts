import type * as z from "zod";
import type { Field } from "#core/canonical/normalize";
import type { Item } from "#core/run/schema";
import type { Values } from "./table.ts";

/* What a format is made of, and what its module exports (core/export/formats.ts). */

/** An item that is not in the file, and why. */
export interface LeftOut {
  index: number;
  custom_id: string | null;
  file: string | null;
  reason: string;
  message: string;
}

/** What an export is made of. */
export interface Source {
  run: { runId: string; taskId: string; createdAt: Date };
  /** Of the run's task. */
  fields: readonly Field[];
  /** In the order of their indexes; each is held no longer than it is written. */
  items: AsyncIterable<Item>;
  shown: Values;
  /** What the caller says of the accounts and the like, as the format's own schema reads it; undefined where it takes none. */
  mapping: unknown;
  /** Called with words for what the format could not hold as it is (a text that is too long for a cell). */
  note(what: string): void;
  /** Called with each item that a ledger cannot book: it is neither booked wrongly nor lost. */
  leaveOut(item: LeftOut): void;
}

export interface Maker {
  /**
   * The file, piece by piece.
   * @throws AppError `invalid_request` where the mapping lacks what these results need, with the name of it.
   */
  make(source: Source): AsyncIterable<Uint8Array | string>;
  /** Of the caller's mapping. */
  mapping?: z.ZodType;
}
