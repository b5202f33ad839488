/**
 * What `/docs` is made of lies beside the bundle, compressed (local/pages makes it). It is read when it is asked for and
 * never parsed, so a cold start does not pay for it.
 */
import * as fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import * as Accept from "#functions/request/accept";
import type { Reply } from "#functions/request/operation";
import { folder } from "#spec/docs-page";

/**
 * The file `NAME.gz` of the folder as an answer of that type: as it lies for who takes gzip, else inflated. Undefined
 * where there is none. `name` must have been checked: it becomes a path.
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
  // As text: the viewer's 4.9 MB would be too much for an answer of Lambda as base64, by a third.
  const text = (await promisify(gunzip)(packed)).toString("utf8");
  return { status: 200, body: text, contentType, headers: { ...headers, ...vary } };
}

async function read(name: string): Promise<Buffer | undefined> {
  return fs.readFile(fileURLToPath(new URL(`${folder}/${name}.gz`, import.meta.url))).catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}
