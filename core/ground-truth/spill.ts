import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The place of a text in the file. */
export interface Place {
  offset: number;
  bytes: number;
}

/** Bytes that are collected before a write. */
const bufferBytes = 256 * 1024;

/** Texts that do not fit into memory, in a temporary file, until they are read by their places. */
export class Spill {
  readonly #file: FileHandle;
  readonly #folder: string;
  /** Bytes to be written. One buffer is reused, so there is no garbage to collect. */
  readonly #waiting = Buffer.allocUnsafe(bufferBytes);
  #used = 0;
  /** Buffer of the last read, whose text has been decoded by then. */
  #read = Buffer.allocUnsafe(64 * 1024);
  #end = 0;

  private constructor(folder: string, file: FileHandle) {
    this.#folder = folder;
    this.#file = file;
  }

  /** The caller must call `close`, which removes the file. */
  static async open(): Promise<Spill> {
    const folder = await mkdtemp(join(tmpdir(), "ocrlty-spill-"));
    return new Spill(folder, await open(join(folder, "texts"), "wx+", 0o600));
  }

  async add(text: string): Promise<Place> {
    const place = { offset: this.#end, bytes: Buffer.byteLength(text) };
    this.#end += place.bytes;
    if (place.bytes > bufferBytes - this.#used) await this.#flush();
    if (place.bytes > bufferBytes) await this.#file.appendFile(text);
    else this.#used += this.#waiting.write(text, this.#used);
    return place;
  }

  async read({ offset, bytes }: Place): Promise<string> {
    await this.#flush();
    if (bytes > this.#read.length) this.#read = Buffer.allocUnsafe(bytes);
    await this.#file.read(this.#read, 0, bytes, offset);
    return this.#read.toString("utf8", 0, bytes);
  }

  /** Number of bytes added. */
  get bytes(): number {
    return this.#end;
  }

  /** The whole content, in the order in which it was added, in pieces of this many bytes. */
  async *pieces(bytes: number): AsyncGenerator<Buffer> {
    await this.#flush();
    for (let offset = 0; offset < this.#end; offset += bytes) {
      const length = Math.min(bytes, this.#end - offset);
      const { buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, offset);
      yield buffer;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #flush(): Promise<void> {
    if (this.#used === 0) return;
    await this.#file.appendFile(this.#waiting.subarray(0, this.#used));
    this.#used = 0;
  }
}
