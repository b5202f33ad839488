/**
 * The files of `/docs` are stored beside the bundle, compressed (local/pages makes them). They are read on demand and
 * never parsed, so they do not slow down a cold start.
 */
import * as fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import * as Accept from "#functions/request/accept";
import type { Reply } from "#functions/request/operation";
import { folder } from "#spec/docs-page";

/**
 * Answers with the file `NAME.gz` of the folder: compressed if the caller accepts gzip, else inflated. Undefined if
 * there is no such file. `name` must already be checked, because it becomes a path.
 */
export async function reply(
  name: string,
  contentType: string,
  { headers: asked }: { headers: Record<string, string | undefined> },
  headers: Record<string, string> = {},
): Promise<Reply | undefined> {
  const packed = await read(name);
  if (packed === undefined) return undefined;
  const vary = { Vary: ["Accept-Encoding", headers.Vary].filter(Boolean).join(", ") };
  if (Accept.takesGzip(asked["accept-encoding"]))
    return {
      status: 200,
      body: packed,
      contentType,
      headers: { ...headers, ...vary, "Content-Encoding": "gzip" },
    };
  // Sent as text: as base64 the viewer's 4.9 MB would grow by a third and exceed Lambda's limit.
  const text = (await promisify(gunzip)(packed)).toString("utf8");
  return { status: 200, body: text, contentType, headers: { ...headers, ...vary } };
}

async function read(name: string): Promise<Buffer | undefined> {
  return fs.readFile(fileURLToPath(new URL(`${folder}/${name}.gz`, import.meta.url))).catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}
