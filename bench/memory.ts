/**
 * `npm run bench -- memory [--json]`: the most memory that the bundled function `extract` and its decoder have resident, while
 * they read the largest files that are taken, each uploaded and then extracted; against the memory that spec/functions.ts
 * gives the function, and 900 MB for ten pages of a PDF. Ends with 1 where they come to more, or a file is not read. Only
 * Linux tells it.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Loop, start } from "#local/loop";
import { functions } from "#spec/functions";
import { sizes } from "#spec/limits";
import * as ModelServer from "#test/support/model-server/model-server";
import { files, type Large } from "./guards/large.ts";
import * as Figures from "./support/figures.ts";
import { descendants, peakMb } from "./support/process.ts";

const answer = { total: "12.00", subtotal: "10.00", tax: "2.00" };
const result = { ...answer, service: null, discount: null, cash: null, card: null, change: null };
/** Each file is read so often, to see whether memory grows. */
const times = 3;

interface Row {
  file: string;
  megabytes: number;
  status: string;
  functionMb: number;
  decoderMb: number;
  mostMb: number;
}

/** Measures and prints. Exit status 0; 1 where a file takes more than the function has. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: "boolean", default: false } } });
  const rows: Row[] = [];
  for (const file of files) rows.push(await measured(file));
  const { memoryMb } = functions.extract;
  process.stdout.write(values.json ? `${JSON.stringify({ memoryMb, rows })}\n` : text(rows, memoryMb));
  return rows.every(holds) ? 0 : 1;
}

const holds = ({ functionMb, decoderMb, mostMb, status }: Row): boolean =>
  status === "200" && functionMb + decoderMb <= mostMb;

/** In a loop of its own, because a process keeps the most that it had. */
async function measured({ name, bytes: make, mimeType, mostMb }: Large): Promise<Row> {
  const bytes = await make();
  const home = await mkdtemp(join(tmpdir(), "ocrlty-bench-"));
  const model = await ModelServer.start({ model: "scripted", respond: () => ModelServer.json(result) });
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", VLLM_MAX_MODEL_LEN: "16384" };
  const loop = await start({ home, port: 0, httpInstances: 4, env, log: () => undefined });
  try {
    const meter = new Meter();
    let status = "";
    for (let i = 0; i < times; i += 1) status = await extracted(loop, bytes, mimeType);
    return {
      ...{ file: name, megabytes: Figures.round(bytes.length / 1e6, 1), status, ...meter.end() },
      mostMb: mostMb ?? functions.extract.memoryMb,
    };
  } finally {
    await loop.close(0);
    await model.close();
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function extracted(loop: Loop, bytes: Uint8Array, mimeType: string): Promise<string> {
  const headers = { authorization: `Bearer ${loop.apiKey}`, "content-type": "application/json" };
  const call = async (path: string, body: unknown) =>
    await fetch(`${loop.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const announced = await call("/v1/uploads", { mime_type: mimeType, bytes: bytes.length });
  const upload = (await announced.json()) as { upload_url: string; image_ref: string };
  const put = await fetch(upload.upload_url, {
    method: "PUT",
    headers: { "if-none-match": "*", "content-type": mimeType },
    body: new Uint8Array(bytes),
  });
  if (!put.ok) throw new Error(`the upload answered ${put.status}`);
  const response = await call("/v1/extract", { request_id: randomUUID(), image_ref: upload.image_ref });
  const { error } = (await response.json()) as { error?: { code: string } };
  return `${response.status} ${error?.code ?? ""}`.trim();
}

/** The processes of `extract` below this one, read while they live. */
class Meter {
  readonly #timer = setInterval(() => this.#read(), 50);
  #functionMb = 0;
  #decoderMb = 0;

  #read(): void {
    for (const { pid, command } of descendants(process.pid)) {
      if (!command.includes("functions-api-extract.mjs")) continue;
      this.#functionMb = Math.max(this.#functionMb, peakMb(pid));
      for (const child of descendants(pid)) this.#decoderMb = Math.max(this.#decoderMb, peakMb(child.pid));
    }
  }

  end() {
    clearInterval(this.#timer);
    this.#read();
    return { functionMb: this.#functionMb, decoderMb: this.#decoderMb };
  }
}

function text(rows: readonly Row[], memoryMb: number): string {
  const head = ["file", "MB", "answer", "function MB", "decoder MB", "together", "bar"];
  const lines = rows.map(({ file, megabytes, status, functionMb, decoderMb, mostMb }) => [
    ...[file, megabytes, status, functionMb, decoderMb],
    ...[functionMb + decoderMb, mostMb],
  ]);
  return `${Figures.table(head, lines)}\n\nthe function has ${memoryMb} MB; PDFs have at most ${sizes.uploadPdfBytes / 1024 ** 2} MiB\n`;
}
