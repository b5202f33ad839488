import type { Readable } from "node:stream";

/*
 * Time limits of calls to the bucket. The SDK limits single attempts only, and an abort signal applies until the last
 * byte of a body: a limit for the call would end a body that is still arriving.
 */

/** Limits a call until its headers arrive, retries included; its body has limits of its own. */
export async function limited<T>(timeoutMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new DOMException("the bucket did not answer in time", "TimeoutError")),
    timeoutMs,
  );
  try {
    return await call(controller.signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A body piece by piece. Waiting for a piece may take `idleMs`, and so may the reader's first step; the reader's time
 * between two pieces does not count. A reader that stops early ends the transfer.
 */
export function pieces(source: Readable, idleMs: number): AsyncIterable<Uint8Array> {
  const arm = () => setTimeout(() => source.destroy(new Error("the bucket stopped sending")), idleMs);
  let idle = arm();
  // Without a listener, the error of a destroyed source would be unhandled; the reader gets it anyway.
  source.on("error", () => undefined);
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of source) {
        clearTimeout(idle);
        yield piece;
        idle = arm();
      }
    } finally {
      clearTimeout(idle);
      source.destroy();
    }
  }
  return read();
}
