import { createHash } from "node:crypto";
import * as Picture from "./picture.ts";
import type { Raw } from "./read.ts";
import { Spill } from "./spill.ts";

/** Records as JSON lines in a temporary file, ready to be stored. */
export interface Prepared {
  sha256: string;
  records: number;
  bytes: number;
  /** Records that do not name a picture. */
  unnamed: number;
  /** Names that several records have: the first of them, and their number. */
  duplicates: string[];
  duplicateCount: number;
  /** The lines in pieces of this many bytes. */
  pieces(bytes: number): AsyncGenerator<Buffer>;
  /** Removes the temporary file. */
  close(): Promise<void>;
}

const namedDuplicates = 100;

/**
 * Writes the records to a temporary file, one per line and without spaces, so that the same labels give the same bytes.
 * Memory holds their names. The caller must close the result.
 * @throws what the records throw.
 */
export async function prepare(records: AsyncIterable<Raw>): Promise<Prepared> {
  const spill = await Spill.open();
  const hash = createHash("sha256");
  const names = new Map<string, number>();
  let count = 0;
  let unnamed = 0;
  try {
    for await (const { value, record } of records) {
      const line = `${JSON.stringify(value)}\n`;
      hash.update(line);
      await spill.add(line);
      count += 1;
      if (record.image === undefined) unnamed += 1;
      else names.set(Picture.keyOf(record.image), (names.get(Picture.keyOf(record.image)) ?? 0) + 1);
    }
  } catch (thrown) {
    await spill.close();
    throw thrown;
  }
  const twice = [...names].filter(([, n]) => n > 1).map(([name]) => name);
  return {
    sha256: hash.digest("hex"),
    records: count,
    bytes: spill.bytes,
    unnamed,
    duplicates: twice.slice(0, namedDuplicates),
    duplicateCount: twice.length,
    pieces: (bytes) => spill.pieces(bytes),
    close: () => spill.close(),
  };
}
