/** Uploads files to the bucket: announced through the API, put directly by signed URLs, several at once. */
import * as fs from "node:fs/promises";
import * as z from "zod";
import type { Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import { failureOf } from "#cli/server/refusal";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { patiently } from "./retry.ts";

const atOnce = 8;

/** The announcement of an upload (`POST /v1/uploads`). */
interface Wish {
  readonly kind: "image" | "manifest" | "data" | "ground_truth";
  readonly mimeType: string;
  readonly file?: string;
  /** For `data`: its path below the key's folder. */
  readonly path?: string;
}

const Announced = z.looseObject({
  image_ref: z.string().nullish(),
  manifest_ref: z.string().nullish(),
  data_ref: z.string().nullish(),
  image_key: z.string().nullish(),
  upload_url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), z.string()),
});
type Announced = z.output<typeof Announced>;

interface Uploaded {
  /** `image_ref`, `manifest_ref` or `data_ref`; empty for data. */
  readonly ref: string;
  /** Another object already has this key; only for data, where the caller chose the path. */
  readonly taken: boolean;
}

/** How long one file is retried; a longer outage ends the command, which can be resumed. */
const tryMs = 2 * 60_000;
/** A signature younger than this has not expired, so a refusal has another reason. */
const freshMs = 60_000;
/** Slower than any connection that is used to send pictures. */
const leastBytesPerMs = 30;
const putTimeoutMs = 60_000;

/**
 * Uploads one object. Throws CallError.
 * A put whose answer was lost is repeated: 412 then means that the first one succeeded.
 */
export async function upload(
  context: Pick<Context, "say" | "signal">,
  server: Target,
  wish: Wish,
  body: Uint8Array<ArrayBuffer>,
): Promise<Uploaded> {
  let announced: Announced | undefined;
  let announcedAt = 0;
  return patiently(context, tryMs, async () => {
    if (announced === undefined) {
      announced = await announce(context, server, wish, body.length);
      announcedAt = performance.now();
    }
    const ref = announced.image_ref ?? announced.manifest_ref ?? announced.data_ref ?? "";
    const status = await put(context, announced, body);
    if (status === 412) return { ref, taken: wish.kind === "data" };
    if (status >= 200 && status < 300) return { ref, taken: false };
    // After a wait the signature may have expired, so a new one is requested.
    const isOld = status === 403 && performance.now() - announcedAt > freshMs;
    if (isOld) announced = undefined;
    throw new CallError(`the bucket refused an upload (${status})`, {
      scope: "server",
      code: isOld ? "network" : "bucket",
      status,
    });
  });
}

async function announce(
  context: Pick<Context, "signal">,
  server: Target,
  { kind, mimeType, file, path }: Wish,
  bytes: number,
): Promise<Announced> {
  const answer = await Client.call(server, {
    method: "POST",
    path: "/v1/uploads",
    body: {
      ...(kind === "image" ? {} : { kind }),
      mime_type: mimeType,
      bytes,
      ...(file === undefined || file.length > longestFile ? {} : { file }),
      ...(path === undefined ? {} : { path }),
    },
    signal: context.signal,
  });
  const announced = Announced.safeParse(answer.json);
  if (answer.status !== 201 || !announced.success) throw failureOf(answer);
  return announced.data;
}

/** The part of a name that the API accepts; the run has the whole name. */
const longestFile = 255;

async function put(
  context: Pick<Context, "signal">,
  announced: Announced,
  body: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const url = new URL(announced.upload_url);
  // The length follows from the body. The API key is not sent: the signed address is the permission.
  const headers = Object.fromEntries(
    Object.entries(announced.headers).filter(([name]) => name.toLowerCase() !== "content-length"),
  );
  const answer = await Client.call(
    { url: new URL("/", url), apiKey: undefined },
    {
      method: "PUT",
      path: url.href,
      headers,
      rawBody: body,
      timeoutMs: putTimeoutMs + Math.round(body.length / leastBytesPerMs),
      signal: context.signal,
    },
  );
  return answer.status;
}

/** The file's bytes. Throws UsageError if it can no longer be read. */
export async function bytesOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const bytes = await fs.readFile(path);
    if (bytes.length === 0) throw new UsageError(`${Text.shown(path)} is empty`);
    return bytes;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new UsageError(`${Text.shown(path)} cannot be read (${code})`);
  }
}

/**
 * Calls `work` for every item in order, `atOnce` at a time. The first failure stops the others, and is thrown once they
 * have stopped.
 */
export async function each<T>(
  items: Iterable<T>,
  context: Pick<Context, "signal">,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      signal.throwIfAborted();
      await work(next.value, signal);
    }
  };
  const ended = await Promise.allSettled(
    Array.from({ length: atOnce }, () =>
      worker().catch((error) => {
        failed.abort(error);
        throw error;
      }),
    ),
  );
  context.signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  const odd = ended.find((result) => result.status === "rejected");
  if (odd) throw odd.reason;
}
