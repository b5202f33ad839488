/** What tests of sources share: a loop with a scripted model server, and what is sent to it. */
import { crc32, deflateSync } from "node:zlib";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { createClient } from "@libsql/client";
import { expect } from "vitest";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import { type Answer, type CallOptions, startLoop, type TestLoop } from "./loop.ts";
import * as ModelServer from "./model-server/model-server.ts";

export const fields = {
  total: "12.00",
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};
export const pepper = "pepper-for-tests-of-sources";

interface Announced {
  image_ref: string;
  upload_url: string;
  headers: Record<string, string>;
}
/** A loop of its own. @param options.env - beside what every such loop has. */
export async function start({
  respond = () => ModelServer.json(fields),
  env = {},
}: ModelServer.Options & { env?: Record<string, string> } = {}) {
  const model = await ModelServer.start({ respond, maxModelLen: 8192 });
  const loop = await startLoop({
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", API_KEY_PEPPER: pepper, ...env },
  });
  const db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  const client = (await Key.create(db, pepper, { keyId: "client-1", role: "client" })).api_key;
  const { S3_ENDPOINT_URL = "", S3_ACCESS_KEY_ID = "", S3_SECRET_ACCESS_KEY = "" } = loop.env;
  const s3 = new S3Client({
    endpoint: S3_ENDPOINT_URL,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: S3_ACCESS_KEY_ID, secretAccessKey: S3_SECRET_ACCESS_KEY },
  });
  return {
    loop,
    model,
    db,
    s3,
    client,
    ...callsOf(loop, model),
    ...uploadsOf(loop, s3),
    close: async () => {
      s3.destroy();
      db.client.close();
      await loop.close();
      await model.close();
    },
  };
}
export type Rig = Awaited<ReturnType<typeof start>>;

function callsOf(loop: TestLoop, model: ModelServer.ModelServer) {
  const call = (path: string, options?: CallOptions) => loop.call(path, options);
  const extract = (json: Record<string, unknown>, options: CallOptions = {}) =>
    call("/v1/extract", { ...options, json });

  /** Runs calls that must not reach the model. */
  async function withoutModel(run: () => Promise<Answer>): Promise<Answer> {
    const before = model.requests.length;
    const answer = await run();
    expect(model.requests.length).toBe(before);
    return answer;
  }

  /** The artifact of an extract, as it lies in the bucket. */
  async function artifactOf(requestId: string) {
    const answer = await call(`/v1/debug/artifacts/${requestId}`);
    expect(answer.status).toBe(200);
    return { artifact: answer.body as { input: Record<string, unknown>; request: Record<string, unknown> } };
  }

  return { call, extract, withoutModel, artifactOf };
}

function uploadsOf(loop: TestLoop, s3: S3Client) {
  async function announce(
    bytes: number,
    mimeType = "image/jpeg",
    options: CallOptions = {},
  ): Promise<Announced> {
    const answer = await loop.call("/v1/uploads", { ...options, json: { mime_type: mimeType, bytes } });
    expect(answer.status).toBe(201);
    return answer.body as Announced;
  }
  async function upload(bytes: Buffer, mimeType = "image/jpeg"): Promise<Announced> {
    const announced = await announce(bytes.length, mimeType);
    const { status } = await fetch(announced.upload_url, {
      method: "PUT",
      headers: announced.headers,
      body: new Uint8Array(bytes),
    });
    expect(status).toBe(200);
    return announced;
  }
  const keysBelow = async (prefix: string) =>
    (
      (await s3.send(new ListObjectsV2Command({ Bucket: loop.env.S3_BUCKET, Prefix: prefix }))).Contents ?? []
    ).map(({ Key: key }) => key);

  return { announce, upload, keysBelow };
}

export const errorOf = (answer: Answer) =>
  (answer.body as { error: { code: string; message: string; details: Record<string, unknown> } }).error;
export const issuesOf = (answer: Answer) =>
  errorOf(answer).details.issues as { path: string; message: string }[];

/** The options of a call with a form: texts, and files of this name. */
export const formOf = async (parts: Record<string, string | Uint8Array>, name = "a.pdf") => {
  const form = new FormData();
  for (const [field, value] of Object.entries(parts))
    form.set(
      field,
      typeof value === "string" ? value : new Blob([new Uint8Array(value)]),
      ...((typeof value === "string" ? [] : [name]) as []),
    );
  const response = new Response(form);
  const headers = { "content-type": response.headers.get("content-type") ?? "" };
  return { method: "POST", headers, body: new Uint8Array(await response.arrayBuffer()) };
};

/** A complete PNG, one bit a pixel, all black. */
export function pngOf(width: number, height: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = deflateSync(Buffer.alloc((Math.ceil(width / 8) + 1) * height), { level: 6 });
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
