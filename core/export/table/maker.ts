import type * as z from "zod";
import type { Field } from "#core/canonical/normalize";
import type { Item } from "#core/run/schema";
import type { Values } from "./table.ts";

/*
 * The input of a format, and the exports of its module (core/export/formats.ts).
 */

/** An item that is not in the file, with the reason. */
export interface LeftOut {
  index: number;
  /** Which document of the item, from 1; missing where the item is one document. */
  document?: number;
  custom_id: string | null;
  file: string | null;
  reason: string;
  message: string;
}

/** The input of an export. */
export interface Source {
  run: { runId: string; taskId: string; createdAt: Date };
  /** Fields of the run's task. */
  fields: readonly Field[];
  /** In the order of their indexes; an item is released once it is written. */
  items: AsyncIterable<Item>;
  shown: Values;
  /** The caller's mapping, parsed by the format's own schema; undefined if the format has none. */
  mapping: unknown;
  /** Called with a message for values that the format could not hold unchanged, such as a text too long for a cell. */
  note(what: string): void;
  /** Called for each item that the ledger cannot book. */
  leaveOut(item: LeftOut): void;
}

export interface Maker {
  /**
   * The file, piece by piece.
   * @throws AppError `invalid_request` if the mapping lacks a setting that these results need; the error names it.
   */
  make(source: Source): AsyncIterable<Uint8Array | string>;
  /** Schema of the caller's mapping. */
  mapping?: z.ZodType;
}
