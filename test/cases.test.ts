/**
 * Real answers and pictures, each through `POST /v1/extract`: what the scripted model server returns, and the
 * expected result. The cases are beside the repository; without them there is nothing to run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Beside the repository, or beside the folder of its worktrees. */
const folder =
  ["../shared/cases", "../../shared/cases"]
    .map((path) => join(root, path))
    .find((path) => existsSync(join(path, "answers.json"))) ?? join(root, "../shared/cases");
const there = existsSync(join(folder, "answers.json"));

const Expect = z.strictObject({
  schema_ok: z.boolean().optional(),
  total: z.string().optional(),
  normalized: z.record(z.string(), z.string()).optional(),
  normalized_or_ambiguous: z.record(z.string(), z.string()).optional(),
  not_normalized: z.record(z.string(), z.string()).optional(),
  no_false_checks: z.boolean().optional(),
  items: z.number().optional(),
  max_model_len: z.number().optional(),
  why: z.string(),
});
const Case = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  answer: z.union([z.string(), z.record(z.string(), z.unknown())]),
  expect: Expect,
});
type Case = z.output<typeof Case>;
const cases = there
  ? z.array(Case).parse(JSON.parse(readFileSync(join(folder, "answers.json"), "utf8")))
  : [];

/** A canonical value. Ambiguous dates and amounts have their readings. */
interface Canonical {
  value: string;
  ambiguous?: boolean;
}
interface Extract {
  status: string;
  result: Record<string, unknown> | null;
  schema_ok: boolean | null;
  schema_errors: unknown[];
  normalized: Record<string, Canonical | undefined>;
  checks: { ok: boolean | null }[];
  warnings?: unknown[];
}

/** The context of a server that cuts no answers. */
const usualContext = 8_192;

/** One token per two characters, cut at `max_tokens`, as far as the context has room. */
function cut(text: string, context: number, received: ModelServer.Received): ModelServer.Behavior {
  const promptTokens = Math.ceil(received.prompt.length / 4) + 1_000;
  const room = Math.min(received.body.max_tokens ?? context, context - promptTokens);
  const fits = text.length <= room * 2;
  return ModelServer.text(fits ? text : text.slice(0, room * 2), {
    chunkCharacters: 400,
    finishReason: fits ? "stop" : "length",
    usage: { prompt_tokens: promptTokens, completion_tokens: fits ? Math.ceil(text.length / 2) : room },
  });
}

interface Stack {
  model: ModelServer.ModelServer;
  loop: TestLoop;
}

/** A loop over a scripted model server with this context, for the tests of a `describe`. */
function useStack(context: number): () => Stack {
  let stack: Stack | undefined;
  beforeAll(async () => {
    const model = await ModelServer.start({ model: "scripted", maxModelLen: context });
    const loop = await startLoop({ env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } });
    stack = { model, loop };
  });
  afterAll(async () => {
    await stack?.loop.close();
    await stack?.model.close();
  });
  return () => {
    if (stack === undefined) throw new Error("the loop has not been started");
    return stack;
  };
}

async function extract({ loop }: Stack, json: Record<string, unknown>): Promise<Extract> {
  const answer = await loop.call("/v1/extract", { json });
  expect(answer.status, answer.text).toBe(200);
  return answer.body as Extract;
}

function judge({ expect: wanted }: Case, extracted: Extract): void {
  const { normalized, checks, result } = extracted;
  const at = (path: string) => normalized[path];
  if (wanted.schema_ok !== undefined)
    expect(extracted.schema_ok, JSON.stringify(extracted.schema_errors)).toBe(wanted.schema_ok);
  if (wanted.total !== undefined) expect((at("total") ?? at("totals.total"))?.value).toBe(wanted.total);
  for (const [path, value] of Object.entries(wanted.normalized ?? {}))
    expect(at(path)?.value, path).toBe(value);
  for (const [path, value] of Object.entries(wanted.normalized_or_ambiguous ?? {}))
    if (at(path) !== undefined && at(path)?.ambiguous !== true) expect(at(path)?.value, path).toBe(value);
  for (const [path, value] of Object.entries(wanted.not_normalized ?? {}))
    if (at(path)?.ambiguous !== true) expect(at(path)?.value, path).not.toBe(value);
  if (wanted.no_false_checks) expect(checks.filter(({ ok }) => ok === false)).toEqual([]);
  if (wanted.items !== undefined) expect((result?.items as unknown[])?.length).toBe(wanted.items);
}

if (!there) console.warn(`skipped: the cases of the world (${folder} is not there)`);

/** The functions cache the context length that a server reports, so each context has a loop of its own. */
const contexts = [...new Set(cases.map((each) => each.expect.max_model_len ?? usualContext))];

describe.skipIf(!there).each(contexts)("answers, in a context of %i tokens", (context) => {
  const stack = useStack(context);
  const own = cases.filter((each) => (each.expect.max_model_len ?? usualContext) === context);
  test.each(own.map((each): [string, string, Case] => [each.id, each.expect.why, each]))(
    "%s: %s",
    async (id, _why, each) => {
      const { model } = stack();
      const text = typeof each.answer === "string" ? each.answer : JSON.stringify(each.answer);
      const isCut = each.expect.max_model_len !== undefined;
      model.respond = (received) =>
        isCut ? cut(text, context, received) : ModelServer.text(text, { chunkCharacters: 400 });
      const seed = cases.findIndex((other) => other.id === id) + 1;
      judge(each, await extract(stack(), { image_base64: await base64(seed), task_id: each.task_id }));
    },
  );
});

describe.skipIf(!there)("pictures", () => {
  const stack = useStack(usualContext);
  const answer = {
    ...{ total: "12.00", subtotal: null, tax: null, service: null },
    ...{ discount: null, cash: null, card: null, change: null },
  };
  /** The text that is read from a file, and the picture that was sent to the model. */
  async function read(name: string): Promise<{ body: Extract; sent: Buffer }> {
    const { model } = stack();
    model.respond = () => ModelServer.json(answer);
    const before = model.requests.length;
    const body = await extract(stack(), {
      image_base64: readFileSync(join(folder, name)).toString("base64"),
    });
    expect(body).toMatchObject({ status: "succeeded", normalized: { total: { value: "12" } } });
    expect(model.requests.length).toBe(before + 1);
    const sent = model.requests.at(-1)?.images[0]?.bytes;
    if (sent === undefined) throw new Error("no picture was sent");
    await opensInPillow(sent);
    return { body, sent };
  }

  test.each(["i03-ztxt.png", "i03b-itxt.png"])(
    "%s: large texts in it do not keep it from being opened",
    async (name) => {
      const { sent } = await read(name);
      expect(textChunks(sent)).toEqual([]);
    },
  );

  test("i05b-g4-standard.tif: a fax has square pixels when it is sent", async () => {
    const name = "i05b-g4-standard.tif";
    const { width, height } = await sharp(readFileSync(join(folder, name))).metadata();
    const { sent } = await read(name);
    const seen = await sharp(sent).metadata();
    // 204 dots per inch across, 98 down.
    expect(seen.width / seen.height / (width / 204 / (height / 98))).toBeCloseTo(1, 1);
  });

  test("i06-two-pages.tif: both pages are read", async () => {
    const { body } = await read("i06-two-pages.tif");
    expect(body.warnings).toEqual([]);
  });
});

/** Names of PNG text chunks: none is needed, and Pillow refuses large ones. */
function textChunks(bytes: Buffer): string[] {
  if (bytes.readUInt32BE(0) !== 0x89504e47) return [];
  const names: string[] = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at))
    names.push(bytes.toString("latin1", at + 4, at + 8));
  return names.filter((name) => ["tEXt", "zTXt", "iTXt"].includes(name));
}

/** Opens the picture as vLLM does. Without Pillow only our own checks run. */
async function opensInPillow(bytes: Buffer): Promise<void> {
  const script =
    "import sys, io\nfrom PIL import Image\nImage.open(io.BytesIO(sys.stdin.buffer.read())).convert('RGB').load()";
  const python = spawnSync("python3", ["-c", script], { input: bytes, encoding: "utf8", timeout: 20_000 });
  if (python.error !== undefined || /No module named/.test(python.stderr)) return;
  expect(python.stderr).toBe("");
  expect(python.status).toBe(0);
}
