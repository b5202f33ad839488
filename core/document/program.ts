import type { Found } from "#core/einvoice/einvoice";
import type { Encoded, Encoding, Header } from "#core/image/encode";
import type { Picture } from "#core/image/native";
import type { Look } from "#core/look/look";
import type { MimeType } from "#spec/pictures";
import type { Opened, Text } from "./format/format.ts";
import { formats } from "./formats.ts";

/*
 * The program of the decoder's process. The process that starts it imports this module only for its URL, so it loads
 * nothing of weight at the top; its dependencies are loaded in the process itself. In a bundle it is a separate file
 * beside the handler, because it is loaded by an `import()`.
 */

/** URL of this program: a source file, or a file of a bundle. */
export const url: string = import.meta.url;

/** Which page of which kind of file, and how to open it. */
interface Target {
  mimeType: MimeType;
  /** The decoder's number of the page, from 0. */
  index: number;
  /** The password of an encrypted document. Only orders contain it: no file, log or hash does. */
  password?: string | undefined;
}

type Shape = Omit<Picture, "bytes" | "mimeType" | "index">;

export type Job =
  | ({ op: "header" } & Target)
  | ({ op: "look"; image: Shape } & Target)
  /** The e-invoice among the files inside of the document. */
  | ({ op: "embedded" } & Target)
  /** The text layer of the page, compared with its pixels if it was the last to be drawn. */
  | ({ op: "text" } & Target)
  | ({ op: "encode"; image: Shape; options: Encoding } & Target);

/** An order. The bytes come through stdin, where they are neither copied into a message nor decoded as text. */
export interface Order {
  id: number;
  job: Job;
  /** Number of bytes that follow; undefined if the picture is that of the order before. */
  bytes: number | undefined;
}

export type Done = { id: number } & (
  | { ok: true; result: Result }
  | {
      ok: false;
      /** Undefined for a fault of ours. */
      refused: { message: string; details: Record<string, unknown> | undefined } | undefined;
      cause: string;
    }
);

export type Result = Header | Look | Encoded | Attached | Texts;

/** Undefined where the document carries no e-invoice. */
export interface Attached {
  invoice: Found | undefined;
}

/** Undefined where the kind of document has no text layer. */
export interface Texts {
  text: Text | undefined;
}

/**
 * Sent once, when the process has started. If it ends after this, a picture ended it or something outside killed it;
 * before, it could not start.
 */
export interface Ready {
  ready: true;
}

/**
 * Handles one order at a time. It ends when its parent process ends, even within native work: an orderly end would wait
 * for that work. A decoder that blocks the main thread must run in a worker here, or the parent's end is not noticed.
 */
export async function serve(): Promise<void> {
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C and service managers signal the whole process group, while the parent may still need this process.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  let held: Held = { bytes: new Uint8Array() };
  process.on("message", ({ id, job, bytes }: Order) => {
    const work = async () => {
      if (bytes !== undefined) {
        held.opened?.then(
          (opened) => opened.close(),
          () => undefined,
        );
        held = { bytes: await taken(bytes) };
      }
      return await done(job, held);
    };
    void work().then(
      (result) => process.send?.({ id, ok: true, result } satisfies Done),
      (thrown: unknown) => process.send?.({ id, ok: false, ...told(thrown) } satisfies Done),
    );
  });
  // Loaded while the caller starts, rather than at the first picture.
  const [{ load }] = await Promise.all([
    import("#core/image/native"),
    import("#core/image/encode"),
    import("#core/image/look"),
  ]);
  await load();
  process.send?.({ ready: true } satisfies Ready);
}

/** The file of the last order, and what a format's module made of it: several orders are about the same file. */
interface Held {
  bytes: Uint8Array;
  opened?: Promise<Opened>;
}

async function done(job: Job, held: Held): Promise<Result> {
  const { mimeType, index } = job;
  const load = formats[mimeType];
  if (load === undefined) {
    if (job.op === "embedded") return { invoice: undefined };
    if (job.op === "text") return { text: undefined };
    const Encode = await import("#core/image/encode");
    if (job.op === "header") return await Encode.header(held.bytes, mimeType, index);
    const picture = { ...job.image, mimeType, index, bytes: held.bytes };
    if (job.op === "look") return await (await import("#core/image/look")).look(picture);
    return await Encode.encode(picture, job.options);
  }
  const Render = await import("./render.ts");
  held.opened ??= load().then((format) => format.open(held.bytes, { password: job.password }));
  const opened = await held.opened;
  if (job.op === "embedded") return await attached(opened);
  if (job.op === "text") return { text: opened.text?.(index) };
  if (job.op === "header") return await Render.header(opened, index);
  if (job.op === "look") return await Render.look(opened, index);
  return await Render.encode(opened, index, job.options);
}

async function attached(opened: Opened): Promise<Attached> {
  const files = opened.attachments?.() ?? [];
  if (files.length === 0) return { invoice: undefined };
  const Einvoice = await import("#core/einvoice/einvoice");
  return { invoice: Einvoice.find(files.map(({ bytes }) => bytes)) };
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
