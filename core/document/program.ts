import type { Found } from "#core/einvoice/einvoice";
import type { Cut } from "#core/image/cut";
import type { Encoded, Encoding, Header } from "#core/image/encode";
import type { Look } from "#core/look/look";
import type { MimeType } from "#spec/pictures";
import type { Text } from "./format/format.ts";
import { formats } from "./formats.ts";
import * as Orphan from "./orphan.ts";
import type { Part } from "./part.ts";
import type { Reader, Shape } from "./reader.ts";

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

export type Job =
  | ({ op: "header" } & Target)
  | ({ op: "look"; image: Shape; cut?: Cut | undefined } & Target)
  /** The e-invoice among the files inside of the document. */
  | ({ op: "embedded" } & Target)
  /** The text layer of the page, compared with its pixels if it was the last to be drawn. */
  | ({ op: "text" } & Target)
  | ({ op: "encode"; image: Shape; cut?: Cut | undefined; options: Encoding } & Target);

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
      /** Undefined if the fault is ours. */
      refused: { message: string; details: Record<string, unknown> | undefined } | undefined;
      cause: string;
    }
);

export type Result = Header | Look | Encoded | Attached | Texts;

/** Undefined if the document has no e-invoice. */
export interface Attached {
  invoice: Found | undefined;
}

/** Undefined if the kind of document has no text layer. */
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
 * for that work. Decoders in WebAssembly block this thread, so another one watches the parent from the first of them on.
 */
export async function serve(): Promise<void> {
  const parent = process.ppid;
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C and service managers signal the whole process group, while the parent may still need this process.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  let held: Held = { bytes: new Uint8Array(), password: undefined, parent };
  process.on("message", ({ id, job, bytes }: Order) => {
    const work = async () => {
      const { password } = job;
      // A file that was opened with one password must not be read with another, or without one.
      if (bytes !== undefined || password !== held.password) {
        held.reader?.then(
          (reader) => reader.close(),
          () => undefined,
        );
        held = { bytes: bytes === undefined ? held.bytes : await taken(bytes), password, parent };
      }
      return await done(job, held);
    };
    void work().then(
      (result) => say({ id, ok: true, result }),
      (thrown: unknown) => say({ id, ok: false, ...told(thrown) }),
    );
  });
  // Loaded while the caller starts, rather than at the first picture.
  const [{ load }] = await Promise.all([import("#core/image/native"), import("./picture.ts")]);
  await load();
  say({ ready: true });
}

/** If the parent is ending, it no longer takes messages. This error is ignored, because "disconnect" follows. */
function say(message: Done | Ready): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

/** The file of the last order, and what reads it: several orders are about the same file. */
interface Held {
  bytes: Uint8Array;
  password: string | undefined;
  reader?: Promise<Reader>;
  /** The last part that was cut out: it is looked at and then encoded. */
  part?: Part | undefined;
  /** The process that started this one. */
  parent: number;
}

async function done(job: Job, held: Held): Promise<Result> {
  held.reader ??= readerOf(job, held);
  const reader = await held.reader;
  const { index } = job;
  switch (job.op) {
    case "header":
      return await reader.header(index);
    case "look":
      if (job.cut === undefined) return await reader.look(index, job.image);
      held.part = await partOf(job, job.cut, held, reader);
      return await (await import("./part.ts")).look(held.part);
    case "encode":
      if (job.cut === undefined) return await reader.encode(index, job.image, job.options);
      held.part = await partOf(job, job.cut, held, reader);
      return await (await import("./part.ts")).encode(held.part, job.options);
    case "text":
      return { text: reader.text?.(index) };
    case "embedded":
      return await attached(reader);
  }
}

async function partOf(
  { index, image }: { index: number; image: Shape },
  cut: Cut,
  held: Held,
  reader: Reader,
): Promise<Part> {
  const key = JSON.stringify([index, cut]);
  return held.part?.key === key ? held.part : { key, pixels: await reader.cut(index, image, cut) };
}

async function readerOf({ mimeType }: Job, { bytes, password, parent }: Held): Promise<Reader> {
  const load = formats[mimeType];
  if (load === undefined) return (await import("./picture.ts")).reader(bytes, mimeType);
  Orphan.endWith(parent);
  const [{ reader }, format] = await Promise.all([import("./render.ts"), load()]);
  return reader(await format.open(bytes, { password }));
}

async function attached(reader: Reader): Promise<Attached> {
  const files = reader.attachments?.() ?? [];
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
