import type { MimeType } from "#spec/pictures";
import type { Encoded, Encoding, Header, Picture } from "./encode.ts";

/*
 * The program of the decoder's process. Its starter imports this module for its address only, so it loads
 * nothing: what it works with is loaded in the process itself. In a bundle it is a file of its own beside the handler,
 * because it is asked for by an `import()`.
 */

/** Where this program lies, as a URL: a source file, or a part of a bundle. */
export const url: string = import.meta.url;

export type Job =
  | { op: "header"; mimeType: MimeType }
  | { op: "encode"; image: Omit<Picture, "bytes">; options: Encoding };

/** Bytes come through stdin, where they are neither copied into a message nor read as text. */
export interface Order {
  id: number;
  job: Job;
  /** How many bytes follow; undefined: the picture is the one of the order before. */
  bytes: number | undefined;
}

export type Done = { id: number } & (
  | { ok: true; result: Header | Encoded }
  | {
      ok: false;
      /** Undefined for a fault of ours. */
      refused: { message: string; details: Record<string, unknown> | undefined } | undefined;
      cause: string;
    }
);

/** Sent once, when the start is over: from now on an order, or a signal from outside, ends this process. */
export interface Ready {
  ready: true;
}

/**
 * Takes one order at a time. It ends with the process that started it, in the middle of native work too: an orderly end would
 * wait for that work. A decoder that works on the main thread must run in a worker here, or this is not noticed.
 */
export async function serve(): Promise<void> {
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C and a service manager signal the whole group; who started us may still need us.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  let picture: Uint8Array = new Uint8Array();
  process.on("message", ({ id, job, bytes }: Order) => {
    const work = async () => {
      if (bytes !== undefined) picture = await taken(bytes);
      return await done(job, picture);
    };
    void work().then(
      (result) => process.send?.({ id, ok: true, result } satisfies Done),
      (thrown: unknown) => process.send?.({ id, ok: false, ...told(thrown) } satisfies Done),
    );
  });
  // Beside the caller's first steps, not in front of its first picture.
  await (await import("./encode.ts")).load();
  process.send?.({ ready: true } satisfies Ready);
}

async function done(job: Job, bytes: Uint8Array): Promise<Header | Encoded> {
  const Encode = await import("./encode.ts");
  if (job.op === "header") return await Encode.header(bytes, job.mimeType);
  return await Encode.encode({ ...job.image, bytes }, job.options);
}

async function taken(length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const chunk = process.stdin.read() as Buffer | null;
    if (chunk === null) {
      await new Promise((resolve) => process.stdin.once("readable", resolve));
      continue;
    }
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function told(thrown: unknown) {
  if (!(thrown instanceof Error)) return { refused: undefined, cause: String(thrown) };
  const { message, cause } = thrown;
  const refused = "code" in thrown && thrown.code === "invalid_image" && "details" in thrown;
  const details = refused ? (thrown.details as Record<string, unknown> | undefined) : undefined;
  return {
    refused: refused ? { message, details } : undefined,
    cause: refused ? (cause instanceof Error ? cause.message : "") : (thrown.stack ?? message),
  };
}
