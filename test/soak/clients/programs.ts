/**
 * Programs that use a generated client as a user would: extract, upload, batch, poll, results, webhook. They are
 * text, because their imports are generated when the test runs.
 */

/** The common part: a receiver of webhooks, and the inputs. */
const common = `
  import { once } from "node:events";
  import { readFileSync } from "node:fs";
  import { createServer } from "node:http";
  import type { AddressInfo } from "node:net";
  import { Webhook } from "standardwebhooks";

  const baseUrl = process.env.OCRLTY_URL ?? "";
  const key = process.env.OCRLTY_API_KEY ?? "";
  const picture = readFileSync(process.env.PICTURE ?? "");
  const secret = process.env.WEBHOOK_SECRET ?? "";

  const told: string[] = [];
  const receiver = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString("utf8");
    const event = new Webhook(secret).verify(body, request.headers as Record<string, string>) as RunEnded;
    told.push(event.type + " " + event.data.run_id + " " + event.data.counts.succeeded);
    response.end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const webhook_url = "http://127.0.0.1:" + (receiver.address() as AddressInfo).port + "/hook";

  const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
  /** What must be there. */
  function there<T>(value: T | undefined | null, what: unknown): T {
    if (value === undefined || value === null) throw new Error("nothing: " + JSON.stringify(what));
    return value;
  }
  /** The total, which only a result of this task has, and only if it fits the schema. */
  function totalOf(extract: Extract | RunItem): string | null {
    if (extract.schema_ok && extract.result !== null && extract.task_id === "receipt_fields_v1")
      return extract.result.total;
    throw new Error("no whole receipt: " + JSON.stringify(extract));
  }
  async function put(upload: Upload): Promise<void> {
    const { status } = await fetch(upload.upload_url, { method: upload.method, headers: upload.headers, body: picture });
    if (status !== 200) throw new Error("the PUT is " + status);
  }
  async function end(answer: Record<string, unknown>): Promise<void> {
    while (told.length === 0) await pause();
    receiver.close();
    receiver.closeAllConnections();
    console.log(JSON.stringify({ ...answer, told }));
  }
`;

/** With openapi-typescript and openapi-fetch. */
export const openapiFetch = `
  import createClient from "openapi-fetch";
  import type { components, paths, webhooks } from "./api";
  type Schemas = components["schemas"];
  type Extract = Schemas["Extract"];
  type RunItem = Schemas["RunItem"];
  type Upload = Schemas["Upload"];
  type RunEnded = webhooks["runEnded"]["post"]["requestBody"]["content"]["application/json"];
  ${common}
  const api = createClient<paths>({ baseUrl, headers: { Authorization: "Bearer " + key } });

  const first = await api.POST("/v1/extract", { body: { image_base64: picture.toString("base64") } });
  const extract = there(first.data, first.error);
  if (!("result" in extract)) throw new Error("not ready: " + extract.poll_url);

  const missing = await api.GET("/v1/extracts/{request_id}", { params: { path: { request_id: "nobody" } } });
  const code = missing.error && "error" in missing.error ? missing.error.error.code : undefined;
  const wrong = await api.POST("/v1/batch_extract", { body: { run_id: "no/id", images_dir: "shared" } });
  const path = wrong.error && "error" in wrong.error ? wrong.error.error.details.issues?.[0]?.path : undefined;

  const announced = await api.POST("/v1/uploads", { body: { bytes: picture.length, file: "receipt.png" } });
  const upload = there(announced.data, announced.error);
  await put(upload);
  const started = await api.POST("/v1/batch_extract", {
    body: { manifest: [{ custom_id: "one", image_ref: there(upload.image_ref, upload) }], webhook_url },
  });
  const { run_id } = there(started.data, started.error);
  const params = { path: { run_id } };
  for (;;) {
    const { data } = await api.GET("/v1/runs/{run_id}", { params });
    if (data?.status === "succeeded") break;
    if (data?.status === "failed") throw new Error(JSON.stringify(data.error?.details?.issues));
    await pause();
  }
  const file = there((await api.GET("/v1/runs/{run_id}/results", { params })).data, "results");
  if (typeof file === "string" || !("items" in file)) throw new Error("no results");
  const table = await api.GET("/v1/runs/{run_id}/results", {
    params: { ...params, query: { format: "csv" } },
    parseAs: "text",
  });
  const items = there((await api.GET("/v1/runs/{run_id}/items", { params: { ...params, query: { limit: 5 } } })).data, "");
  await end({
    total: totalOf(extract),
    code,
    path,
    results: file.items.map((item) => [item.custom_id, totalOf(item)]),
    items: items.items.map(totalOf),
    csv: String(table.data).split("\\n").length > 2,
  });
`;

/** With @hey-api/openapi-ts. */
export const heyApi = `
  import { client } from "./hey/client.gen";
  import * as Api from "./hey/sdk.gen";
  import type { Extract, RunEnded, RunItem, Upload } from "./hey/types.gen";
  ${common}
  client.setConfig({ baseUrl, auth: key });

  const first = await Api.extract({ body: { image_base64: picture.toString("base64") } });
  const extract = there(first.data, first.error);
  if (!("result" in extract)) throw new Error("not ready: " + extract.poll_url);

  const missing = await Api.getExtract({ path: { request_id: "nobody" } });
  const code = missing.error && "error" in missing.error ? missing.error.error.code : undefined;
  const wrong = await Api.batchExtract({ body: { run_id: "no/id", images_dir: "shared" } });
  const path = wrong.error && "error" in wrong.error ? wrong.error.error.details.issues?.[0]?.path : undefined;

  const announced = await Api.createUpload({ body: { bytes: picture.length, file: "receipt.png" } });
  const upload = there(announced.data, announced.error);
  await put(upload);
  const started = await Api.batchExtract({
    body: { manifest: [{ custom_id: "one", image_ref: there(upload.image_ref, upload) }], webhook_url },
  });
  const { run_id } = there(started.data, started.error);
  for (;;) {
    const { data } = await Api.getRun({ path: { run_id } });
    if (data?.status === "succeeded") break;
    if (data?.status === "failed") throw new Error(JSON.stringify(data.error?.details?.issues));
    await pause();
  }
  const file = there((await Api.listRunResults({ path: { run_id } })).data, "results");
  if (typeof file === "string" || !("items" in file)) throw new Error("no results");
  const table = await Api.listRunResults({ path: { run_id }, query: { format: "csv" }, parseAs: "text" });
  const items = there((await Api.listRunItems({ path: { run_id }, query: { limit: 5 } })).data, "");
  await end({
    total: totalOf(extract),
    code,
    path,
    results: file.items.map((item) => [item.custom_id, totalOf(item)]),
    items: items.items.map(totalOf),
    csv: String(table.data).split("\\n").length > 2,
  });
`;
