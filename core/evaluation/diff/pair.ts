import { AppError } from "#core/error";

/**
 * The most bytes of lines that wait for their partner. Runs over the same files have them in the same order, so that no
 * line waits.
 */
const maxWaitingBytes = 64 * 1024 * 1024;

/** The number of documents that only one side has. */
export interface Left {
  only_in_first: number;
  only_in_second: number;
}

/** A document of a run: a sample of an evaluation, or an item, which has one. */
interface Named {
  index: number;
  document?: number;
  file: string | null;
  custom_id: string | null;
}

const nameOf = ({ file, custom_id, index, document = 1 }: Named): string =>
  JSON.stringify([file ?? custom_id ?? index, document]);

/** Lines of one side by the name of their document; of documents with one name the first comes out first. */
class Waiting {
  readonly #lines = new Map<string, Buffer[]>();
  count = 0;
  bytes = 0;

  put(name: string, line: Buffer): void {
    const there = this.#lines.get(name) ?? [];
    // A copy: the line is a view of a piece that is many times as long.
    there.push(Buffer.from(line));
    this.#lines.set(name, there);
    this.count += 1;
    this.bytes += line.length;
  }

  take(name: string): Buffer | undefined {
    const there = this.#lines.get(name);
    const line = there?.shift();
    if (line === undefined) return undefined;
    if (there?.length === 0) this.#lines.delete(name);
    this.count -= 1;
    this.bytes -= line.length;
    return line;
  }

  clear(): void {
    this.#lines.clear();
    this.count = 0;
    this.bytes = 0;
  }
}

/**
 * The documents that two evaluations or two runs have, as lines of JSON, by file or else `custom_id`, and the number of
 * the document on its picture. Both are read in step, so that memory holds only the documents that the other side has
 * not reached yet, and none once the other side has ended.
 * @param left - is counted up.
 * @throws AppError `conflict` (`other_order`) if more than 64 MiB would have to wait; what the sources throw.
 */
export async function* pairs<T extends Named>(
  first: AsyncIterable<Buffer>,
  second: AsyncIterable<Buffer>,
  left: Left,
  maxBytes: number = maxWaitingBytes,
): AsyncGenerator<[T, T]> {
  const parsed = (line: Buffer) => JSON.parse(line.toString("utf8")) as T;
  const side = (source: AsyncIterable<Buffer>, only: keyof Left) => ({
    ...{ lines: source[Symbol.asyncIterator](), waiting: new Waiting(), open: true, only },
  });
  const [a, b] = [side(first, "only_in_first"), side(second, "only_in_second")];
  try {
    while (a.open || b.open) {
      for (const [own, other] of [[a, b] as const, [b, a] as const]) {
        if (!own.open) continue;
        const { value, done } = await own.lines.next();
        if (done) {
          own.open = false;
          left[other.only] += other.waiting.count;
          other.waiting.clear();
          continue;
        }
        const document = parsed(value);
        const name = nameOf(document);
        const line = other.waiting.take(name);
        const like = line && parsed(line);
        if (like !== undefined) yield own === a ? [document, like] : [like, document];
        else if (other.open) own.waiting.put(name, value);
        else left[own.only] += 1;
      }
      if (a.waiting.bytes + b.waiting.bytes > maxBytes)
        throw new AppError("conflict", "the order of files in the two differs too much", {
          details: { reason: "other_order" },
        });
    }
  } finally {
    await Promise.all([a.lines.return?.(), b.lines.return?.()]);
  }
}
