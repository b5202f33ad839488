import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import * as Secret from "#core/webhook/secret";
import { type Batches, open } from "#test/support/batches/batches";
import { picture } from "#test/support/pictures";

/** The calls that a receiver got. */
interface Received {
  headers: Record<string, string>;
  body: string;
}

let batches: Batches;
let pictures: string;
let receiver: http.Server;
let url: string;
const received: Received[] = [];
/** The statuses that the next calls are answered with; then 204. */
const answers: number[] = [];

beforeAll(async () => {
  receiver = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    received.push({ headers: request.headers as Record<string, string>, body });
    response.writeHead(answers.shift() ?? 204).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/canary-hook`;
  pictures = mkdtempSync(join(tmpdir(), "ocrlty pictures "));
  for (const name of ["a.jpg", "ü.jpg"]) writeFileSync(join(pictures, name), await picture(7));
  batches = await open({
    timeScale: 1 / 30,
    env: { WEBHOOK_ALLOW_PRIVATE: "1", DATA_ROOT: pictures, S3_PREFIX: "team" },
  });
});
afterAll(async () => {
  await batches?.close();
  receiver.closeAllConnections();
  receiver.close();
  rmSync(pictures, { recursive: true, force: true, maxRetries: 5 });
});

test("a run over the pictures of DATA_ROOT calls its receiver when it has ended, again after a failure, with a valid signature", async () => {
  answers.push(500);
  const made = await batches.made({ run_id: "told", images_dir: "shared", webhook_url: url });
  expect(made.run_id).toBe("told");
  await batches.ended("told");
  await vi.waitFor(
    async () => expect((await batches.run("told")).webhook).toMatchObject({ delivered: true }),
    { timeout: 8_000, interval: 50 },
  );
  const run = await batches.run("told");
  expect(run.counts).toMatchObject({ total: 2, succeeded: 2 });
  expect(run.webhook?.attempts.map(({ status }) => status)).toEqual([500, 204]);
  expect(received).toHaveLength(2);
  const stage = readFileSync(join(batches.loop.home, "webhook-secret"), "utf8").trim();
  const secret = Secret.derive(stage, "local-admin", 1);
  for (const { headers, body } of received)
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({
      type: "run.succeeded",
      data: { run_id: "told", status: "succeeded", counts: { total: 2, succeeded: 2 } },
    });
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  // The function's last line comes after its answer to the receiver was seen.
  await vi.waitFor(() => expect(batches.loop.events("webhook_sent")).toHaveLength(1), 20_000);
  expect(batches.loop.events("webhook_failed")).toHaveLength(1);
  expect(batches.loop.lines.join("\n")).not.toContain("canary-hook");
}, 60_000);

test("a webhook_url that may not be called is a 400 that names its field and not its host", async () => {
  for (const [webhook_url, reason] of [
    ["ftp://receiver.example/", "url_not_allowed"],
    ["https://user:canary@receiver.example/", "url_not_allowed"],
    ["http://receiver.invalid/", "url_unreachable"],
    ["nothing", "url_invalid"],
  ]) {
    const { status, body, text } = await batches.loop.call("/v1/batch_extract", {
      json: { run_id: "refused", images_dir: "shared", webhook_url },
    });
    expect(status, text).toBe(400);
    expect(body).toMatchObject({ error: { details: { reason, issues: [{ path: "webhook_url" }] } } });
    expect(text).not.toMatch(/receiver|canary/);
  }
  expect((await batches.loop.call("/v1/runs/refused")).status).toBe(404);
});
