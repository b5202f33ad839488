import { createHash } from "node:crypto";
import { expect } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import { httpInstances } from "#spec/limits";
import * as Routes from "#spec/routes";
import type { Answer, TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import { silent } from "#test/support/test-bucket";

/** How many answers came at once and how many by polling, and how long it took in all. */
export interface Parallel {
  readonly direct: number;
  readonly polled: number;
  readonly instances: number;
  readonly durationMs: number;
}

/** Longest wait for an extract that became 202; the stand-in model server reads one picture at a time. */
const pollMs = 600_000;

/** The scripted model's answers: a different total for every picture, so that a mix-up is noticed. */
export function totalOf(picture: Uint8Array): string {
  return (createHash("sha256").update(picture).digest().readUIntBE(0, 5) / 100).toFixed(2);
}

/** Answers after `delayMs` with the total of the received picture. */
export const reader =
  (delayMs: number): ModelServer.Respond =>
  ({ images }) =>
    ModelServer.json(
      {
        total: totalOf(images[0]?.bytes ?? new Uint8Array()),
        subtotal: null,
        tax: null,
        service: null,
        discount: null,
        cash: null,
        card: null,
        change: null,
      },
      { delayMs },
    );

/** A loop's bucket, with the settings of its functions. */
export function bucketOf(loop: TestLoop): Bucket.Bucket {
  const values = Config.parse("bucket", { ...loop.env });
  return Bucket.open(
    {
      bucket: values.S3_BUCKET,
      endpoint: values.S3_ENDPOINT_URL,
      region: values.S3_REGION,
      prefix: values.S3_PREFIX,
      allowOverwrite: values.S3_ALLOW_OVERWRITE,
      presignTtlS: values.S3_PRESIGN_TTL_S,
      forcePathStyle: values.S3_FORCE_PATH_STYLE,
      accessKeyId: values.S3_ACCESS_KEY_ID,
      secretAccessKey: values.S3_SECRET_ACCESS_KEY,
    },
    8_000,
  );
}

/** Waits for the end of an extract that may have become 202. */
export async function ended(loop: TestLoop, id: string, first: Answer): Promise<Answer> {
  if (first.status !== 202) return first;
  const get = () => loop.call(`/v1/extracts/${id}`);
  await expect.poll(async () => (await get()).status, { timeout: pollMs, interval: 500 }).toBe(200);
  return get();
}

const httpFunctions = new Set<string>([
  ...Routes.routes.map((route) => route.function),
  Routes.defaultFunction,
]);

/** Watches the number of processes of the HTTP functions; `stop` returns the maximum. */
export function watchInstances(loop: TestLoop): { stop(): number } {
  let most = 0;
  const timer = setInterval(() => {
    const now = loop.lambda.instances().filter(({ functionName }) => httpFunctions.has(functionName)).length;
    most = Math.max(most, now);
  }, 10);
  return {
    stop: () => {
      clearInterval(timer);
      return most;
    },
  };
}

/**
 * Sends `count` extracts at the same time, each with its own id and picture, and checks that header, body, log and
 * artifact of each belong to it alone. Throws (`expect`) otherwise.
 */
export async function parallel(
  loop: TestLoop,
  model: ModelServer.ModelServer,
  count: number,
  delayMs = 50,
): Promise<Parallel> {
  model.respond = reader(delayMs);
  const calls = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const picture = await base64(1_000 + i);
      return { id: `parallel-${i}`, picture, total: totalOf(Buffer.from(picture, "base64")) };
    }),
  );
  expect(new Set(calls.map(({ total }) => total)).size).toBe(count);
  const asked = model.requests.length;
  const watch = watchInstances(loop);
  const startedAt = Date.now();
  const answers = await Promise.all(calls.map((call) => send(loop, call)));
  const last = await Promise.all(
    answers.map(async (call) => ({ ...call, answer: await ended(loop, call.id, call.first) })),
  );
  const durationMs = Date.now() - startedAt;
  const instances = watch.stop();
  expect(instances).toBeGreaterThan(1);
  expect(instances).toBeLessThanOrEqual(httpInstances);

  const lines = Map.groupBy(loop.events(), (event) => String(event.request_id));
  const bucket = bucketOf(loop);
  try {
    for (const sent of last) {
      expectAnswer(sent);
      expectLines(sent, lines.get(sent.id) ?? []);
      await expectArtifact(sent, bucket);
    }
  } finally {
    bucket.client.destroy();
  }
  // One question each; a call that was cut off and handed over is asked once more by its worker.
  const polled = answers.filter(({ first }) => first.status === 202).length;
  expect(model.requests.length - asked).toBeGreaterThanOrEqual(count);
  expect(model.requests.length - asked).toBeLessThanOrEqual(count + polled);
  return { direct: count - polled, polled, instances, durationMs };
}

/** One call with its total, its first answer, and its last. */
interface Sent {
  readonly id: string;
  readonly total: string;
  readonly first: Answer;
  readonly answer: Answer;
}

async function send(
  loop: TestLoop,
  { id, picture, total }: { id: string; picture: string; total: string },
): Promise<Omit<Sent, "answer">> {
  const first = await loop.call("/v1/extract", {
    json: { image_base64: picture },
    headers: { "x-request-id": id },
  });
  expect([200, 202], `${id}: ${first.text}`).toContain(first.status);
  expect(first.headers.get("x-request-id")).toBe(id);
  return { id, total, first };
}

function expectAnswer({ id, total, answer }: Sent): void {
  expect(answer.body).toMatchObject({
    request_id: id,
    status: "succeeded",
    schema_ok: true,
    result: { total },
  });
}

/** Every line with the call's own id is about this extract, from its start to its end. */
function expectLines({ id, first }: Sent, own: ReturnType<TestLoop["events"]>): void {
  for (const { extract_id } of own) expect(extract_id ?? id).toBe(id);
  const names = own.map(({ event }) => event);
  expect(names).toContain("request_start");
  expect(names).toContain("request_end");
  if (first.status === 200) {
    for (const name of ["vllm_call_start", "vllm_call_end", "s3_put"]) expect(names).toContain(name);
  }
}

async function expectArtifact({ id, total, answer }: Sent, bucket: Bucket.Bucket): Promise<void> {
  const body = answer.body as { result: unknown; artifact_rel: string };
  const bytes = await Bucket.get(bucket, silent, body.artifact_rel);
  const artifact = JSON.parse(Buffer.from(bytes ?? []).toString("utf8"));
  expect(artifact).toMatchObject({
    request_id: id,
    result: { total },
    principal: { key_id: "local-admin" },
  });
  expect(JSON.parse(artifact.raw_model_text)).toEqual(body.result);
}
