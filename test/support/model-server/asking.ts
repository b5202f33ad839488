import { expect } from "vitest";
import type * as Complete from "#core/vision/complete";
import * as Vision from "#core/vision/vision";
import type { ModelServer } from "./model-server.ts";

/** Shared by tests of the model call: a question, a server, the failure of a promise, waiting for a condition. */

export const schema = {
  type: "object",
  properties: { total: { type: ["string", "null"] } },
  required: ["total"],
  additionalProperties: false,
};
export const picture = { bytes: new Uint8Array([1, 2, 3, 250, 251, 252]), mimeType: "image/png" };

export const question: Complete.Ask = {
  prompt: "Read the receipt.",
  images: [picture],
  schema,
  schemaName: "receipt_fields_v1",
  temperature: 0,
  seed: 7,
  maxTokens: 512,
  requestId: "req-1",
};

export const serverOf = (model: ModelServer, more: Partial<Complete.Server> = {}): Complete.Server => ({
  baseUrl: model.url,
  apiKey: "sk-test",
  model: "scripted-model",
  connectTimeoutMs: 500,
  readTimeoutMs: 2_000,
  ...more,
});

/** Checks with short pauses for at most five seconds. */
export function ask(
  model: ModelServer,
  options: Partial<Parameters<typeof Vision.ask>[2]> = {},
  more: Partial<Complete.Ask> = {},
  at: Partial<Complete.Server> = {},
): Promise<Vision.Answer> {
  const fast = { backoff: { baseMs: 4, maxMs: 20 }, probeTimeoutMs: 200 };
  return Vision.ask(
    serverOf(model, at),
    { ...question, ...more },
    { deadline: Date.now() + 5_000, ...fast, ...options },
  );
}

export async function failure(promise: Promise<unknown>): Promise<Vision.VisionError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Vision.VisionError);
  return thrown as Vision.VisionError;
}

export async function until(condition: () => boolean, timeoutMs = 2_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error("the condition did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Within 2 s the connection is closed on the server's side, and no call is being served. */
export async function seenClosed(model: ModelServer): Promise<void> {
  await until(() => model.inFlight === 0);
}
