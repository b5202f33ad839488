/**
 * A whole local loop for an end-to-end test: bundled functions in separate processes, S3, SQL and queues over their
 * wire protocols, in a folder that is removed afterwards.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Loop, type LoopOptions, start } from "#local/loop";

export interface TestLoop extends Loop {
  /** The admin key. */
  readonly apiKey: string;
  /** Every log line of the functions and the loop so far. */
  readonly lines: readonly string[];
  /** The JSON lines among them as objects. */
  events(name?: string): Record<string, unknown>[];
  /** One HTTP call with the admin key; `json` becomes the body, `key: null` sends no key. A JSON answer is parsed. */
  call(path: string, options?: CallOptions): Promise<Answer>;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly key?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined if the body is not JSON. */
  readonly body: unknown;
}

export type TestLoopOptions = Partial<Omit<LoopOptions, "log" | "warn">>;

/** Starts a loop on a free port; `close()` ends it and removes its folder unless `home` was given. */
export async function startLoop(options: TestLoopOptions = {}): Promise<TestLoop> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), "ocrlty-loop-")));
  const remove = async () => {
    if (options.home === undefined)
      await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  const lines: string[] = [];
  try {
    const loop = await start({ port: 0, ...options, home, log: (line) => lines.push(line) });
    const { apiKey } = loop;
    if (apiKey === undefined) throw new Error("the loop made no key");
    return {
      ...loop,
      apiKey,
      lines,
      events: (name) => lines.flatMap(parse).filter(({ event }) => name === undefined || event === name),
      call: (path, callOptions) => call(loop.url, apiKey, path, callOptions),
      close: async (graceMs = 0) => {
        await loop.close(graceMs);
        await remove();
        // IAM would refuse each of these calls on AWS: spec/functions.ts does not declare what the code does.
        const denied = lines.filter((line) => line.includes("queue_access_denied"));
        if (denied.length > 0) throw new Error(`functions lack rights:\n${denied.join("\n")}`);
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A loop for all tests of a file or a `describe`: started before the first, ended after the last. */
export function useLoop(
  options: TestLoopOptions | (() => TestLoopOptions | Promise<TestLoopOptions>) = {},
): () => TestLoop {
  let loop: TestLoop | undefined;
  beforeAll(async () => {
    loop = await startLoop(typeof options === "function" ? await options() : options);
  });
  afterAll(async () => {
    await loop?.close();
  });
  return () => {
    if (loop === undefined) throw new Error("the loop has not been started");
    return loop;
  };
}

async function call(url: string, apiKey: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { json, key = apiKey } = options;
  const body = json === undefined ? options.body : JSON.stringify(json);
  const response = await fetch(`${url}${path}`, {
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(key === null ? {} : { "x-api-key": key }),
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parse(text)[0] };
}

function parse(text: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}
