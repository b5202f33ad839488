import { createHash, type Hash, randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";

/** A file of bytes; its name is random, so no key of a caller ever becomes a path. */
export interface Blob {
  id: string;
  size: number;
}

interface WrittenBlob extends Blob {
  /** MD5 in hex: S3's ETag. */
  md5: string;
}

const chunkBytes = 256 * 1024;

/**
 * Files `<first two characters>/<id>`, written once and never changed. The catalog decides which ones count; `sweep`
 * removes the others.
 */
export class Blobs {
  readonly #dir: string;
  readonly #folders = new Set<string>();
  /** Readers of each blob: one that is being read is removed afterwards (Windows cannot unlink an open file). */
  readonly #readers = new Map<string, number>();
  readonly #doomed = new Set<string>();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
  }

  /**
   * Writes all bytes to a new blob and flushes it to the disk. If `source` throws, the blob is removed and the error
   * is passed on.
   */
  async write(source: AsyncIterable<Buffer>): Promise<WrittenBlob> {
    const id = randomBytes(16).toString("hex");
    const md5 = createHash("md5");
    const file = await open(this.#path(id, true), "wx");
    let size = 0;
    try {
      size = await copy(source, file, md5);
      await file.datasync();
      await file.close();
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(this.#path(id), { force: true }).catch(() => undefined);
      throw error;
    }
    return { id, size, md5: md5.digest("hex") };
  }

  /** Bytes `start` to `end` (inclusive) of blobs in a row. The blobs stay on disk until the iteration ends. */
  async *read(blobs: readonly Blob[], start: number, end: number): AsyncGenerator<Buffer> {
    for (const { id } of blobs) this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    try {
      let offset = 0;
      for (const { id, size } of blobs) {
        const from = Math.max(start - offset, 0);
        const to = Math.min(end - offset, size - 1);
        offset += size;
        if (from > to) continue;
        yield* createReadStream(this.#path(id), { start: from, end: to, highWaterMark: chunkBytes });
      }
    } finally {
      for (const { id } of blobs) {
        const left = (this.#readers.get(id) ?? 1) - 1;
        if (left > 0) this.#readers.set(id, left);
        else this.#readers.delete(id);
        if (left <= 0 && this.#doomed.delete(id)) await this.remove([{ id }]);
      }
    }
  }

  /** Removes blobs; one that is being read is removed after its last read. The next `sweep` removes what fails here. */
  async remove(blobs: readonly Pick<Blob, "id">[]): Promise<void> {
    for (const { id } of blobs) {
      if (this.#readers.has(id)) this.#doomed.add(id);
      else await rm(this.#path(id), { force: true }).catch(() => undefined);
    }
  }

  /** Removes every blob that is not in `known`, which a killed process left. Returns how many. */
  sweep(known: ReadonlySet<string>): number {
    let removed = 0;
    for (const folder of readdirSync(this.#dir, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue;
      for (const id of readdirSync(join(this.#dir, folder.name))) {
        if (known.has(id)) continue;
        rmSync(join(this.#dir, folder.name, id), { force: true });
        removed += 1;
      }
    }
    return removed;
  }

  #path(id: string, create = false): string {
    const folder = join(this.#dir, id.slice(0, 2));
    if (create && !this.#folders.has(folder)) {
      mkdirSync(folder, { recursive: true });
      this.#folders.add(folder);
    }
    return join(folder, id);
  }
}

async function copy(source: AsyncIterable<Buffer>, file: FileHandle, md5: Hash): Promise<number> {
  let size = 0;
  for await (const chunk of source) {
    md5.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await file.write(chunk, at);
      at += bytesWritten;
    }
    size += chunk.length;
  }
  return size;
}
