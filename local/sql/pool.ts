import { Connection, isBusy, SqlError } from "#local/sql/connection";

const busyTimeoutMs = 5000;
/** Locks of other processes can only be polled; the end of our own streams' transactions wakes the waiters at once. */
const pollMs = 5;

/**
 * Connections to one file. A stream has a connection for itself as long as it lives, so no statement of another
 * stream can get into its transaction. Invariant: an idle connection has no open transaction and no state of its last
 * user.
 */
export class Pool {
  readonly #file: string;
  readonly #max: number;
  readonly #busyTimeoutMs: number;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #queue: { resolve: (connection: Connection) => void; reject: (error: Error) => void }[] = [];
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(file: string, maxConnections: number, waitMs: number = busyTimeoutMs) {
    this.#file = file;
    this.#max = maxConnections;
    this.#busyTimeoutMs = waitMs;
    // Opened at once: a file that cannot be opened fails the start, not the first request.
    this.#idle.push(this.#open());
  }

  /** A connection for one stream, first come first served. Throws SqlError when the server is closing. */
  async acquire(): Promise<Connection> {
    if (this.#closed) throw closing();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#all.size < this.#max) return this.#open();
    return new Promise((resolve, reject) => this.#queue.push({ resolve, reject }));
  }

  /** Takes a connection back; an open transaction is rolled back. */
  release(connection: Connection): void {
    let usable: Connection | undefined = connection;
    try {
      connection.rollback();
      if (connection.dirty || this.#closed) usable = undefined;
    } catch {
      usable = undefined;
    }
    if (usable === undefined) {
      this.#all.delete(connection);
      connection.close();
    }
    this.wake();
    const next = this.#queue.shift();
    try {
      if (next !== undefined) next.resolve(usable ?? this.#open());
      else if (usable !== undefined) this.#idle.push(usable);
    } catch (error) {
      next?.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /**
   * Runs `work`, and repeats it after SQLITE_BUSY, without blocking the process. A stream that has waited for
   * `busyTimeoutMs` takes the lock from one of our streams that has held it as long, as with libSQL's server; for
   * another process's lock it waits no longer.
   */
  async whenFree<Result>(work: () => Result): Promise<Result> {
    const deadline = performance.now() + this.#busyTimeoutMs;
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!isBusy(error) || (performance.now() >= deadline && !this.#rob())) throw error;
        await this.#pause();
        if (this.#closed) throw closing();
      }
    }
  }

  /** Takes the lock from the stream that has held it too long. @returns false if no stream of this process has it. */
  #rob(): boolean {
    const until = performance.now() - this.#busyTimeoutMs;
    const holder = [...this.#all].find(
      ({ lockedSince }) => lockedSince !== undefined && lockedSince <= until,
    );
    holder?.rob();
    return holder !== undefined;
  }

  /** Must be called when a transaction has ended, so that waiting streams try again at once. */
  wake(): void {
    for (const go of [...this.#waiting]) go();
  }

  /** Until a transaction of ours ends, or `pollMs`. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = setTimeout(go, pollMs);
      this.#waiting.add(go);
    });
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(closing());
    this.wake();
    for (const connection of this.#all) {
      try {
        connection.rollback();
      } catch {
        // Closing rolls back as well.
      }
      connection.close();
    }
    this.#all.clear();
    this.#idle.length = 0;
  }

  #open(): Connection {
    const connection = new Connection(this.#file, busyTimeoutMs);
    this.#all.add(connection);
    return connection;
  }
}

function closing(): SqlError {
  return new SqlError("SERVER_CLOSED", "The server is closing");
}
