import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { createClient } from "@libsql/client/http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import OpenAI from "openai";

/**
 * The reference for `npm run bench -- extract`: a handler with only the calls of an extract. One SQL read, one
 * streamed model call, one conditional put and one SQL write, with the same clients; without a key, a check of the
 * input or the picture, a log, or idempotency.
 */

const env = (name: string) => process.env[name] ?? "";

const clients = () => ({
  sql: createClient({ url: env("DATABASE_URL"), authToken: env("DATABASE_AUTH_TOKEN") }),
  s3: new S3Client({
    endpoint: env("S3_ENDPOINT_URL"),
    region: env("S3_REGION"),
    forcePathStyle: true,
    credentials: { accessKeyId: env("S3_ACCESS_KEY_ID"), secretAccessKey: env("S3_SECRET_ACCESS_KEY") },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  }),
  model: new OpenAI({ baseURL: env("VLLM_BASE_URL"), apiKey: "none", maxRetries: 0 }),
});
let made: ReturnType<typeof clients> | undefined;

export async function handler(event: APIGatewayProxyEventV2) {
  made ??= clients();
  const { sql, s3, model } = made;
  const { request_id: id, image_base64: image } = JSON.parse(event.body ?? "{}");
  await sql.execute({ sql: "SELECT * FROM extract WHERE key_id = 'bare' AND request_id = ?", args: [id] });
  const stream = await model.chat.completions.create({
    model: env("VLLM_MODEL"),
    stream: true,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "Read this receipt." },
          { type: "image_url", image_url: { url: `data:image/jpeg;base64,${image}` } },
        ],
      },
    ],
  });
  let text = "";
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
  const key = `bare/${id}.json`;
  const body = JSON.stringify({ request_id: id, result: JSON.parse(text) });
  await s3.send(
    new PutObjectCommand({
      Bucket: env("S3_BUCKET"),
      Key: key,
      Body: body,
      ContentType: "application/json",
      IfNoneMatch: "*",
    }),
  );
  await sql.execute({
    sql: "INSERT INTO extract (key_id, request_id, task_id, payload_hash, status, created_at, token, lease_until, artifact_rel) VALUES ('bare', ?, 'bare', '', 'succeeded', ?, 1, ?, ?)",
    args: [id, Date.now(), Date.now(), key],
  });
  return { statusCode: 200, headers: { "content-type": "application/json" }, body };
}
