import { expect } from "vitest";
import * as Task from "#core/task/task";
import type { TestLoop } from "./loop.ts";

/** The text in a scripted model's answer, which must never be in a log. */
export const canary = "CANARY-7Q2Z";

/** A result with the canary in every field that may hold text. */
export const fields = {
  total: `${canary} 12.00`,
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  discount: canary,
  cash: null,
  card: null,
  change: null,
};

/**
 * Searches everything that the stack has logged for what must not be there: recognized text, prompts, pictures, keys,
 * signed addresses, addresses of servers.
 */
export function expectPrivate(loop: TestLoop, secrets: string[] = []): void {
  const printed = loop.lines.join("\n");
  expect(loop.lines.length).toBeGreaterThan(5);
  const prompt = Task.get("receipt_fields_v1")?.prompt.slice(0, 60) ?? "";
  expect(prompt.length).toBe(60);
  for (const secret of [
    canary,
    prompt,
    loop.apiKey,
    loop.apiKey.slice(16),
    "base64,",
    "X-Amz-Signature",
    "/9j/4",
    "iVBOR",
    ...secrets,
  ]) {
    expect(printed.includes(secret), `the log holds ${secret.slice(0, 12)}…`).toBe(false);
  }
}
