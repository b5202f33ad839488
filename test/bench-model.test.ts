/** `ocrlty bench-model`: real loops on this machine, each before a scripted model server of its own. */
import * as fs from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Bench } from "#cli/bench-model/bench";
import * as Show from "#cli/bench-model/show";
import { type Cli, open } from "#test/support/batch-cli";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

const papers = 8;
const label = (i: number) => ({ file: `${i}.png`, total: "12.00" });
const answer = (total: string) => () => ModelServer.json({ total }, { delayMs: 300 });

let cli: Cli;
let right: ModelServer.ModelServer;
let wrong: ModelServer.ModelServer;
beforeAll(async () => {
  cli = open();
  for (let i = 0; i < papers; i += 1) cli.file(`in/${i}.png`, await picture(i + 1, "png"));
  const lines = Array.from({ length: papers }, (_, i) => JSON.stringify(label(i)));
  cli.file("labels.jsonl", lines.join("\n"));
  // The parent folder of all homes, so that a test can see leftovers.
  fs.mkdirSync(join(cli.dir, "tmp"));
  vi.stubEnv("TMPDIR", join(cli.dir, "tmp"));
});
afterAll(() => {
  vi.unstubAllEnvs();
  cli.remove();
});
beforeEach(async () => {
  right = await ModelServer.start({ model: "right", apiKey: "key-of-right" });
  wrong = await ModelServer.start({ model: "wrong" });
  right.respond = answer("12.00");
  wrong.respond = answer("13.00");
});
afterEach(async () => {
  await right.close();
  await wrong.close();
});

const keys = () => ({ VLLM_API_KEY_1: "key-of-right", LOG_LEVEL: "ERROR" });
const both = () => `right=${right.url},wrong=${wrong.url}`;
const bench = (more: string[], options: Parameters<Cli["run"]>[1] = {}) =>
  cli.run(["bench-model", "in", "--gt", "labels.jsonl", ...more], { env: keys(), ...options });
const homes = () => fs.readdirSync(join(cli.dir, "tmp")).filter((name) => name.startsWith("ocrlty-bench-"));

/** Child processes of this process; esbuild's stays for the next bundle, as in every test. */
function children(): string[] {
  const tasks = `/proc/${process.pid}/task`;
  if (!fs.existsSync(tasks)) return [];
  return fs
    .readdirSync(tasks)
    .flatMap((task) => fs.readFileSync(`${tasks}/${task}/children`, "utf8").trim().split(" "))
    .filter((pid) => pid !== "" && !fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("esbuild"));
}

describe("two models", () => {
  test("read in turns, are measured and compared; a worse model gives exit status 1, and no process or folder is left", async () => {
    const before = children();
    const args = ["--models", both(), "--turn", "3", "--concurrency", "2", "--json"];
    const { status, stdout, stderr } = await bench([...args, "--fail-under", "total=0.5"], {
      env: { ...keys(), GPU_COST_PER_HOUR: "36", GPU_COST_PER_HOUR_2: "0" },
    });
    expect(status, stderr).toBe(1);
    const found = JSON.parse(stdout) as Bench;
    expect(found).toMatchObject({ documents: papers, concurrency: 2, task_id: "receipt_fields_v1" });
    expect(found.models).toMatchObject([
      { label: "right", evaluation: { summary: { canonical: { documents_right: papers } } }, diff: null },
      {
        label: "wrong",
        evaluation: { summary: { answered: papers, canonical: { documents_right: 0 } } },
        diff: { documents: papers, verdict: "regressed", fields_tested: 1 },
      },
    ]);
    expect(stderr).toMatch(/^right: reached: total/m);
    expect(stderr).toMatch(/^wrong: MISSED: total/m);
    expect(`${stdout}${stderr}`).not.toContain("key-of-right");
    const [first, second] = found.models;
    // A model second is a cent at the first server, and nothing at the second.
    expect(first?.per_receipt.cost_usd).toBeCloseTo((first?.per_receipt.model_seconds ?? 0) / 100, 9);
    expect([second?.per_receipt.cost_usd, second?.per_receipt.prompt_tokens]).toEqual([0, 100]);

    const shown = Show.table(found, {});
    expect(shown).toMatch(/^FIGURE +right +wrong$/m);
    expect(shown).toMatch(/^total +100\.0 % \(67\.6–100\.0\) +0\.0 % \(0\.0–32\.4\) regressed$/m);
    expect(shown).toMatch(/^SROIE F1 +– +–$/m);
    expect(shown).toMatch(/^against the first +– +regressed$/m);

    // One call to warm up and one for every receipt, in turns, and never two models at a time.
    expect([right.requests.length, wrong.requests.length]).toEqual([papers + 1, papers + 1]);
    const calls = [...right.requests, ...wrong.requests]
      .map((request) => ({ request, isRight: right.requests.includes(request) }))
      .sort((a, b) => a.request.at - b.request.at);
    const changes = calls.filter(({ isRight }, i) => i > 0 && calls[i - 1]?.isRight !== isRight);
    expect(changes.length).toBeGreaterThanOrEqual(4);
    for (const [i, { request, isRight }] of calls.entries())
      for (const other of calls.slice(0, i))
        if (other.isRight !== isRight) expect(other.request.endedAt).toBeLessThanOrEqual(request.at);
    expect([homes(), children()]).toEqual([[], before]);
  }, 120_000);

  test("a model server that goes away is named with its progress, and no process or folder is left", async () => {
    const before = children();
    wrong.respond = async (_request, n) => {
      if (n === 3) await wrong.down();
      return ModelServer.json({ total: "13.00" });
    };
    const { status, stderr, stdout } = await bench(["--models", both(), "--concurrency", "1"], {
      env: { ...keys(), OCRLTY_TIME_SCALE: "0.1" },
    });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(
      `error: wrong: the server at ${wrong.url} does not answer any more; 1 of 8 receipts were read, and nothing is compared`,
    );
    expect([homes(), children()]).toEqual([[], before]);
  }, 120_000);

  test("Ctrl-C ends the command with 130 and leaves nothing; --keep leaves the folders", async () => {
    const before = children();
    const interrupt = new AbortController();
    right.respond = () => {
      interrupt.abort();
      return ModelServer.json({ total: "12.00" });
    };
    const one = ["--models", `right=${right.url}`, "--keep"];
    const { status, stderr } = await bench(one, { signal: interrupt.signal });
    expect([status, children()]).toEqual([130, before]);
    const kept = [...stderr.matchAll(/^right: kept in (.*)$/gm)].map(([, path]) => path ?? "");
    expect(kept.map((path) => fs.existsSync(join(path, "ocrlty.db")))).toEqual([true]);
    for (const path of kept) fs.rmSync(path, { recursive: true });
    expect(homes()).toEqual([]);
  }, 120_000);
});

describe("mistakes are reported before anything is started", () => {
  const told = async (args: string[], env: Record<string, string> = keys()) => {
    const { status, stderr } = await cli.run(["bench-model", ...args], { env });
    expect([status, homes()]).toEqual([2, []]);
    return stderr;
  };
  const usual = ["in", "--gt", "labels.jsonl", "--models"];

  test("a model that is not served, a key that is missing or wrong, a server that is away", async () => {
    expect(await told([...usual, `left=${wrong.url}`])).toContain(
      `left: the server at ${wrong.url} does not serve it: it serves wrong`,
    );
    expect(await told([...usual, `right=${right.url}`], {})).toContain("asks for a key: set VLLM_API_KEY_1");
    const second = [...usual, `wrong=${wrong.url},right=${right.url}`];
    expect(await told(second, { VLLM_API_KEY_2: "another" })).toContain("refuses the key of VLLM_API_KEY_2");
    // The key of VLLM_BASE_URL is not sent to another server.
    const elsewhere = { VLLM_BASE_URL: wrong.url, VLLM_API_KEY: "key-of-right" };
    expect(await told([...usual, `right=${right.url}`], elsewhere)).toContain("asks for a key");
    await wrong.down();
    expect(await told([...usual, "wrong"], { VLLM_BASE_URL: wrong.url })).toContain("does it run?");
  });

  test("models without an address, with a password, or twice", async () => {
    expect(await told([...usual, "wrong"], {})).toContain("--models NAME=URL, or set VLLM_BASE_URL");
    // It is refused before anything is read, like every other mistake.
    expect(await told([...usual, both(), "--fail-under", "totl=0.5"])).toContain('there is no field "totl"');
    const secret = await told([...usual, "wrong=http://me:hush@127.0.0.1:1/v1"]);
    expect(secret).toContain("hold no user, password or query");
    expect(secret).not.toContain("hush");
    expect(await told([...usual, "a=http://x/v1,a=http://x/v1/"])).toContain("a twice at the same address");
    const price = await told([...usual, both()], { GPU_COST_PER_HOUR_2: "much" });
    expect(price).toContain("GPU_COST_PER_HOUR_2 is not valid: it takes an amount");
  });

  test("no pictures, labels of other pictures, too few of them, no field of the task", async () => {
    fs.mkdirSync(join(cli.dir, "empty"), { recursive: true });
    cli.file("others.jsonl", '{"file":"z.png","total":"1.00"}');
    cli.file("few.jsonl", `${JSON.stringify(label(0))}\n{"file":"z.png","total":"1.00"}`);
    cli.file("words.jsonl", '{"file":"0.png","words":"1.00"}');
    const args = (dir: string, labels: string) => [dir, "--gt", labels, "--models", both()];
    expect(await told(args("empty", "labels.jsonl"))).toContain("there are no pictures in empty");
    expect(await told(args("in", "none.jsonl"))).toContain("--gt: none.jsonl is not a file");
    expect(await told(args("in", "others.jsonl"))).toContain(
      "no record of others.jsonl names a picture of in: the labels begin with z.png, the folder with 0.png",
    );
    const few = await told(args("in", "few.jsonl"));
    expect(few).toContain("7 pictures without labels, not read: 1.png, 2.png");
    expect(few).toContain("1 record of few.jsonl without a picture in in: z.png");
    expect(few).toContain("1 labeled receipt cannot tell two models apart: among 1 field at least 6");
    expect(await told(args("in", "words.jsonl"))).toContain("no field that receipt_fields_v1 reads");
    expect(await told([...usual, both(), "--task", "nothing_v1"])).toContain("no task nothing_v1");
  });
});
