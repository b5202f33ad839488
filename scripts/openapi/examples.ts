/**
 * Examples for OpenAPI, by route. The first one is real: the picture is a small PNG of three printed lines, and the
 * answer's `normalized` and `checks` are computed by the production code.
 */
import { createHash } from "node:crypto";
import * as Checks from "#core/canonical/checks/checks";
import * as Normalize from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import type { RouteKey } from "#spec/routes";

export interface Examples {
  /** A JSON body, as it is sent. */
  request?: unknown;
  /** A form, if the samples send one instead of JSON; a list means files with these names. */
  form?: Readonly<Record<string, unknown>>;
  /** Status → body. */
  responses?: Readonly<Record<number, unknown>>;
}

/** SUBTOTAL 10.00, TAX 2.00, TOTAL 12.00: a PNG of 230 × 92 pixels. */
export const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAOYAAABcAQMAAABA9VvrAAAABlBMVEX///8AAABVwtN+AAAACXBIWXMAAAsTAAALEwEAmpwY" +
  "AAAB80lEQVRIx+3VPW7bMBQH8MewIBGAjjLaaA1lysy6gK2hqLae46ECMmvKGgYF2g4+gAcfokegIcBde4AMAnIBddNgyHkk" +
  "AtlSqE7pUMAPXuyf+en3lwFO9VoVnb35JJtINoLROy0BJOStxluR/trH3/eSA7AqNhBvdq3qz0JbpFfk9OfYwnizbBWF0Ii6" +
  "xBF339UIOhN9RRx9DagWbuYc8TykH4VILVJNvM4QZtn1Yc/fRGqcjgunC4RFdtsq37qZqS69zrtjYet2RZUUgXXhy/Oe08eQ" +
  "Zs+qs5AWyhEt7TWx+fFdvS/WdKKJ0wZYM7X5dPPQanpf04kiOtQHp5HJI1OfWvfV665EvIKoG4G29lVOv2lKEbgPXL6ASlu4" +
  "6kbgWCkdYEEXKqSrifF63DCtshVt6S8qvXba+KA/aAwznQgclCuamdI5z26COjK0t4F1+Y72rIZUisTCuyF16YYEMHwbQiDd" +
  "M8Vhsw4pRw1piacI/OMsVBSHS9ceFUAue1n4U99RHOhhy2tgNf0v9DrHxQHg7ZkCtnSd39ff2s2sgNMzs985FAevFwGlYqvB" +
  "sR29ngV06XUM/HbxUrnyqoHfzAc1D6/Ld17LgPILQR86tSFVLg6kzEiukv5drUnTEuLHnWQP056ymhb22kioI3Nq2/+qngDg" +
  "7qwr/h11OQAAAABJRU5ErkJggg==";

/** The hash in examples is a constant: prompts are tuned, and examples must not change with each word. */
const someSha256 = (digit: string) => digit.repeat(64);

function extract() {
  const task = Task.get(Task.defaultTaskId);
  if (task === undefined) throw new Error("the default task is missing");
  const result = {
    total: "12.00",
    subtotal: "10.00",
    tax: "2.00",
    service: null,
    discount: null,
    cash: null,
    card: null,
    change: null,
  };
  const createdAt = "2026-11-23T09:15:04.120Z";
  const normalized = Normalize.normalize(task.fields, result, { createdAt: new Date(createdAt) });
  return {
    request_id: "receipt-0001",
    task_id: task.id,
    created_at: createdAt,
    status: "succeeded",
    result,
    schema_ok: true,
    schema_errors: [],
    normalized,
    checks: Checks.run(task, result, normalized),
    warnings: [],
    model: "Qwen/Qwen3-VL-8B-Instruct",
    prompt_sha256: someSha256("1"),
    schema_sha256: task.schemaSha256,
    image_sha256: createHash("sha256").update(Buffer.from(picture, "base64")).digest("hex"),
    usage: { prompt_tokens: 612, completion_tokens: 58, attempts: 1 },
    timings_ms: { total: 1304, image: 21, inference: 1204, validate: 2 },
    artifact_rel: "extracts/2026-11-23/web-shop/receipt-0001.json",
  };
}

const running = {
  request_id: "receipt-0001",
  status: "running",
  poll_url: "/v1/extracts/receipt-0001",
};

/** Made again for each document; a route without an entry has no success examples. */
export function examples(): Partial<Record<RouteKey, Examples>> {
  return {
    "GET /health": {
      responses: {
        200: {
          ok: true,
          version: "0.1.0",
          stage: "production",
          auth_enabled: true,
          debug_mode: false,
          model: "Qwen/Qwen3-VL-8B-Instruct",
        },
      },
    },
    "GET /v1/me": {
      responses: { 200: { key_id: "web-shop", role: "client", scopes: ["extract:run"] } },
    },
    "POST /v1/extract": {
      request: {
        task_id: Task.defaultTaskId,
        image_base64: picture,
        mime_type: "image/png",
        request_id: "receipt-0001",
      },
      form: { task_id: Task.defaultTaskId, file: ["receipt.jpg"] },
      responses: { 200: extract(), 202: running },
    },
    "POST /v1/uploads": { request: { mime_type: "image/jpeg", bytes: 5_200_000, file: "receipt.jpg" } },
    "POST /v1/batch_extract": {
      request: {
        run_id: "november",
        task_id: Task.defaultTaskId,
        concurrency: 8,
        manifest: [
          { custom_id: "0001", image_ref: "upload_3q2W1x9vT0aZ8yB7cD6eF5gH" },
          { custom_id: "0002", image_key: "web-shop/receipts/0002.jpg" },
        ],
      },
    },
    "POST /v1/batch_extract_upload": {
      request: { task_id: Task.defaultTaskId, concurrency: 4, files: ["0001.jpg", "0002.jpg"] },
    },
    "POST /v1/batch_extract_rerun": { request: { source_run_id: "november", only: "failed" } },
    "POST /v1/ground_truths": {
      request: {
        name: "november",
        content: [
          {
            file: "0001.jpg",
            fields: { "totals.total": "12.00", "totals.tax": { any: ["2.00", "2"] }, "payment.card": null },
          },
        ],
      },
    },
    "POST /v1/ground_truths/from_run": { request: { name: "november", run_id: "november" } },
    "POST /v1/evals": { request: { run_id: "november", gt_id: "gt_3q2W1x9vT0aZ8yB7cD6eF5gH" } },
    "PUT /v1/admin/pod": { request: { pod_id: "xedezhzb9la3ye" } },
    "GET /v1/extracts/{request_id}": { responses: { 200: extract(), 202: running } },
  };
}
