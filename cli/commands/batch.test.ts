import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { type Api, serve } from "#test/support/batch-api";
import { type Cli, open, pictureOf } from "#test/support/batch-cli";

let cli: Cli;
let api: Api;
beforeEach(async () => {
  cli = open();
  api = await serve();
});
afterEach(async () => {
  await api.close();
  cli.remove();
});

const env = () => ({ OCRLTY_URL: api.url, OCRLTY_API_KEY: "key-1" });
const batch = (args: string[], more: { signal?: AbortSignal; onSay?: (line: string) => void } = {}) =>
  cli.run(["batch", ...args], { env: env(), ...more });
const pictures = (...names: string[]) => {
  for (const name of names) cli.file(`in/${name}`, pictureOf(name));
};
const calls = (method: string, path: RegExp) =>
  api.seen.filter((seen) => seen.method === method && path.test(seen.path));
const states = () => {
  const dir = join(cli.dir, "home/batches");
  return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
};
const idOf = () => [...api.runs.keys()][0] ?? "";

describe("batch", () => {
  it("uploads a folder, runs it, and writes the results with the line items beside them", async () => {
    pictures("b 10.jpg", "b 2.jpg", "sub/c.png");
    const options = [
      "--task",
      "receipt_v1",
      "--concurrency",
      "7",
      "--keep-inputs",
      "--webhook",
      "https://x.example/",
    ];
    const { status, stdout, stderr } = await batch([
      "in",
      "--out",
      "results.csv",
      "--run-id",
      "r-1",
      ...options,
    ]);
    expect(stderr).not.toContain("error");
    expect(status).toBe(exit.ok);
    const { manifest, ...body } = api.runs.get("r-1")?.body ?? {};
    expect(body).toEqual({
      run_id: "r-1",
      task_id: "receipt_v1",
      concurrency: 7,
      persist_inputs: true,
      webhook_url: "https://x.example/",
    });
    const lines = manifest as { file: string; image_ref: string }[];
    expect(lines.map(({ file }) => file)).toEqual(["b 2.jpg", "b 10.jpg", "sub/c.png"]);
    // Every name is with its own bytes, in whatever order they arrived.
    for (const { file, image_ref } of lines) expect(String(api.uploads.get(image_ref))).toBe(pictureOf(file));
    expect(cli.read("results.csv")).toBe("\ufeffcsv\nb 2.jpg\nb 10.jpg\nsub/c.png\n");
    expect(cli.read("results.line_items.csv")).toMatch(/^\ufeffline_items_csv\n/);
    expect(stdout).toBe("r-1 succeeded: 3 of 3 succeeded\nresults.csv\nresults.line_items.csv\n");
    expect(states()).toEqual([]);
    // The bucket never sees the key.
    expect(new Set(calls("PUT", /bucket/).map(({ key }) => key))).toEqual(new Set([undefined]));
  });

  it("shows a table without --out, a line of JSON an item with --json, and says 1 when items failed", async () => {
    pictures("a.jpg", "b.jpg");
    api.onRun = ({ items }) => {
      Object.assign(items[1] ?? {}, {
        status: "failed",
        result: null,
        error: { code: "invalid_image", message: "no picture\u001b[2J" },
      });
    };
    const plain = await batch(["in"]);
    expect(plain.status).toBe(exit.items);
    expect(plain.stdout).toBe(
      "ITEM   STATUS     TOTAL\na.jpg  succeeded  0.00\nb.jpg  failed     invalid_image\n",
    );
    expect(plain.stderr).toMatch(/1 of 2 succeeded, 1 failed\n$/);
    const json = await batch(["in", "--json"]);
    expect(json.status).toBe(exit.items);
    const items = json.stdout.trim().split("\n");
    expect(items.map((line) => JSON.parse(line).file)).toEqual(["a.jpg", "b.jpg"]);
  });

  it("never has more than eight uploads under way, and all pictures arrive", async () => {
    pictures(...Array.from({ length: 40 }, (_, i) => `${i}.jpg`));
    expect((await batch(["in", "--no-wait"])).status).toBe(exit.ok);
    expect(api.uploads.size).toBe(40);
    expect(api.mostAtOnce).toBeGreaterThan(1);
    expect(api.mostAtOnce).toBeLessThanOrEqual(8);
  });

  it("gets over errors of server, bucket and network, and makes no second run or upload of it", async () => {
    pictures("a.jpg");
    const failing = [
      "POST /v1/uploads",
      "PUT /bucket",
      "PUT lost",
      "POST /v1/batch_extract",
      "GET /v1/runs/",
    ];
    api.intercept = ({ method, path }, response) => {
      const next = failing.find((each) => {
        const [wanted = "", where = ""] = each.split(" ");
        return method === wanted && (where === "lost" || path.startsWith(where));
      });
      // The look for a run of this id comes before everything else.
      if (next === undefined || (next.startsWith("GET") && api.runs.size === 0)) return undefined;
      failing.splice(failing.indexOf(next), 1);
      if (next !== "PUT lost") return 503;
      // It arrived, and its answer was lost.
      api.uploads.set(path.split("/").at(-1) ?? "", Buffer.from("a.jpg"));
      response.destroy();
      return "handled";
    };
    const { status, stderr } = await batch(["in"]);
    expect(stderr).toContain("trying again");
    expect({ status, left: failing }).toEqual({ status: exit.ok, left: [] });
    expect(calls("POST", /batch_extract/)).toHaveLength(2);
    expect(api.runs.size).toBe(1);
    expect(api.uploads.size).toBe(1);
  });

  it("sends a manifest over 1,000 lines as an upload, lines with refs as they are", async () => {
    const lines = Array.from({ length: 1_001 }, (_, i) =>
      JSON.stringify({ custom_id: `${i}`, image_ref: `x-${i}` }),
    );
    cli.file("m.jsonl", lines.join("\n"));
    expect((await batch(["m.jsonl", "--run-id", "many", "--no-wait"])).status).toBe(exit.ok);
    const { manifest_ref: ref } = api.runs.get("many")?.body ?? {};
    expect(String(api.uploads.get(String(ref)))).toBe(`${lines.join("\n")}\n`);
    expect(calls("POST", /uploads/)).toHaveLength(1);
  });

  it.each<[string, string[], RegExp]>([
    ["no source", [], /name a folder/],
    ["a source that is not there", ["gone"], /gone does not exist/],
    ["a picture", ["in/a.jpg"], /neither a folder nor a \.jsonl manifest/],
    ["an empty folder", ["empty"], /there are no pictures/],
    ["a concurrency of 0", ["in", "--concurrency", "0"], /--concurrency must be a whole number from 1 to 64/],
    ["a concurrency of 65", ["in", "--concurrency", "65"], /1 to 64/],
    ["a concurrency of 1.5", ["in", "--concurrency", "1.5"], /1 to 64/],
    ["a limit of -1", ["in", "--limit", "-1"], /--limit/],
    ["an id that is none", ["in", "--run-id", "../x"], /1 to 100 letters/],
    ["a file that is there", ["in", "--out", "there.csv"], /there\.csv exists/],
    ["line items that are there", ["in", "--out", "l.csv"], /l\.line_items\.csv exists/],
    ["an unknown kind of file", ["in", "--out", "x.ods"], /\.csv, \.tsv, \.xlsx, \.jsonl or \.json/],
    ["a folder that is not there", ["in", "--out", "no/x.csv"], /there is no folder/],
    ["an unknown task", ["in", "--task", "unknown_v1"], /not_found/],
    ["--resume with a source", ["in", "--resume", "x"], /needs no source/],
    ["a run that nobody knows", ["--resume", "nobody"], /not_found/],
    ["a webhook without https", ["in", "--webhook", "http://x"], /--webhook must be an https address/],
    ["a webhook with a password", ["in", "--webhook", "https://a:b@x.example"], /without user name/],
    ["a webhook that is no address", ["in", "--webhook", "x"], /--webhook must be an https address/],
    ["a folder of other files", ["others"], /there are no pictures in others/],
  ])("%s is exit status 2 with nothing uploaded", async (_, args, message) => {
    pictures("a.jpg");
    fs.mkdirSync(join(cli.dir, "empty"));
    cli.file("others/a.jpg", "no picture");
    cli.file("there.csv", "mine");
    cli.file("l.line_items.csv", "mine");
    const { status, stdout, stderr } = await batch(args);
    expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("to go on");
    expect(calls("POST", /./)).toEqual([]);
    expect(cli.read("there.csv")).toBe("mine");
    expect(states()).toEqual([]);
  });

  it("a run that could not be carried out is 1, with every mistake of its manifest", async () => {
    pictures("a.jpg");
    api.onRun = (run) => {
      run.status = "failed";
    };
    const { status, stderr, stdout } = await batch(["in", "--out", "x.csv"]);
    expect({ status, stdout }).toEqual({ status: exit.items, stdout: "" });
    expect(stderr).toMatch(/error: batch-.* failed/);
    expect(fs.existsSync(join(cli.dir, "x.csv"))).toBe(false);
  });
});

describe("a refusal after the uploads", () => {
  const limited = (limit: string, facts: object) => ({ code: "rate_limited", details: { limit, ...facts } });
  const hours = { "retry-after": "19800" };
  const refused = (
    answer: { status: number; code: string; details?: object; headers?: Record<string, string> },
    where = "/v1/batch_extract",
  ) => {
    pictures("a.jpg", "b.jpg");
    api.intercept = ({ method, path }, response) => {
      if (method !== "POST" || path !== where || api.uploads.size < 2) return undefined;
      const { status, code, details, headers } = answer;
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify({ error: { code, message: "no\u001b[2J\nno", details } }));
      return "handled";
    };
    return batch(["in", "--run-id", "r-1"]);
  };

  it.each([
    ["a request that is wrong", { status: 400, code: "invalid_request" }],
    ["an id that is taken", { status: 409, code: "conflict" }],
    [
      "a run too large for the key",
      { status: 403, code: "forbidden", details: { limit: "max_run_items", allowed: 1, requested: 2 } },
    ],
    [
      "more than any day has room for",
      { status: 403, code: "forbidden", details: { limit: "items_per_day", allowed: 1, requested: 2 } },
    ],
  ])("%s is no batch to go on with", async (_, answer) => {
    const { status, stderr } = await refused(answer);
    expect(status).toBe(exit.failed);
    expect(stderr).toContain(`error: no\\u{1b}[2J\\u{a}no (${answer.code})\n`);
    expect(stderr).not.toContain("--resume");
    expect(states()).toEqual([]);
  });

  it("a day that is used up is told with the time to come back, and then nothing is uploaded again", async () => {
    const details = { allowed: 5, used: 4, requested: 2 };
    const { stderr } = await refused({ status: 429, headers: hours, ...limited("items_per_day", details) });
    expect(stderr).toMatch(
      /to go on in 5 h 30 min \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\): npm run ocrlty -- batch --resume r-1\n/,
    );
    api.intercept = () => undefined;
    expect((await batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(api.uploads.size).toBe(2);
  });

  it("a key that is refused meanwhile loses no uploads: another one goes on", async () => {
    const { stderr } = await refused({ status: 401, code: "unauthorized" });
    expect(stderr).toContain("to go on with a key that may: npm run ocrlty -- batch --resume r-1\n");
    api.intercept = () => undefined;
    expect((await batch(["--resume", "r-1", "--key", "key-2"])).status).toBe(exit.ok);
    expect(calls("POST", /uploads/)).toHaveLength(2);
  });
});

describe("files that are left out", () => {
  // Windows has no control characters in names.
  const oddName = process.platform === "win32" ? "c\u202e" : "c\n\u001b]0;x";

  it("are named before anything is sent, and the end is 1, also of a batch that was resumed", async () => {
    pictures("a.jpg", "b.jpg");
    cli.file(`in/${oddName}.jpg`, "text");
    fs.symlinkSync(cli.file("secret.jpg"), join(cli.dir, "in/link.jpg"));
    let before = -1;
    const onSay = (line: string) => {
      if (line.includes("left out") && before < 0) before = api.seen.length;
    };
    const { status, stderr } = await batch(["in", "--run-id", "r-1", "--no-wait"], { onSay });
    expect({ status, before, uploads: api.uploads.size }).toEqual({
      status: exit.items,
      before: 0,
      uploads: 2,
    });
    expect(stderr).toContain("links that lead out of the folder, or nowhere (1): link.jpg\n");
    const odd = `called like a picture, but none by the first bytes (1): ${Text.shown(oddName)}.jpg\n`;
    expect(stderr).toContain(odd);
    const resumed = await batch(["--resume", "r-1"]);
    expect(resumed.status).toBe(exit.items);
    expect(resumed.stderr).toContain(odd);
    const told = await batch(["in", "--run-id", "r-2", "--out", "r.csv", "--json"]);
    expect(JSON.parse(told.stdout)).toMatchObject({
      run_id: "r-2",
      left_out: { count: 2, by_reason: { link_out: 1, not_what_it_is_called: 1 } },
    });
  });

  it("that nobody would take for a receipt are counted, and the end is 0", async () => {
    pictures("a.jpg");
    for (const name of ["notes.txt", "Thumbs.db", ".gitignore"]) cli.file(`in/${name}`, "text");
    const { status, stderr } = await batch(["in", "--run-id", "r-1"]);
    expect(status).toBe(exit.ok);
    expect(stderr).toContain("3 left out of in:\n");
    cli.file("in/x.pdf", "%PDF-1.7");
    const other = await batch(["in", "--run-id", "r-2"]);
    expect(other.status).toBe(exit.items);
    expect(other.stderr).toMatch(/such as PDF and HEIC \(1\): x\.pdf\n/);
  });
});

describe("Ctrl-C", () => {
  /** A signal that comes as soon as `when` is true of what was said or asked. */
  const interruptible = () => new AbortController();

  it("while the run goes on: partial results, the command that resumes, 130; the resume brings all", async () => {
    pictures("a.jpg", "b.jpg", "c.jpg");
    api.onRun = (run) => {
      run.status = "running";
      for (const item of run.items.slice(1)) item.status = "queued";
    };
    const abort = interruptible();
    api.intercept = ({ method, path }) => {
      if (method === "GET" && path.startsWith("/v1/runs/") && api.runs.size > 0) abort.abort();
      return undefined;
    };
    const { status, stderr } = await batch(["in", "--out", "r.jsonl"], { signal: abort.signal });
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("the run goes on at the server");
    expect(stderr).toContain(`npm run ocrlty -- batch --resume ${idOf()}\n`);
    const partial = cli.read("r.jsonl").trim().split("\n");
    expect(partial.map((line) => JSON.parse(line).file)).toEqual(["a.jpg"]);
    expect(states()).toEqual([`${idOf()}.json`]);

    api.intercept = () => undefined;
    const run = api.runs.get(idOf());
    if (run) run.status = "succeeded";
    for (const item of run?.items ?? []) item.status = "succeeded";
    const resumed = await batch(["--resume", idOf()]);
    expect(resumed.status).toBe(exit.ok);
    expect(cli.read("r.jsonl").trim().split("\n")).toHaveLength(3);
    expect(api.uploads.size).toBe(3);
    expect(api.runs.size).toBe(1);
    expect(states()).toEqual([]);
  });

  it("partial results that somebody has worked on are not written over", async () => {
    pictures("a.jpg");
    api.onRun = (run) => {
      run.status = "running";
    };
    const abort = interruptible();
    api.intercept = ({ method, path }) => {
      if (method === "GET" && path.startsWith("/v1/runs/") && api.runs.size > 0) abort.abort();
      return undefined;
    };
    await batch(["in", "--out", "r.csv"], { signal: abort.signal });
    expect(cli.read("r.csv")).toMatch(/^\ufeffindex,custom_id,file,status/);
    cli.file("r.csv", "my notes");
    expect((await batch(["--resume", idOf()])).stderr).toMatch(/r\.csv exists/);
    expect(cli.read("r.csv")).toBe("my notes");
  });

  it("while pictures are uploaded: nothing starts, and the resume uploads only what is missing", async () => {
    pictures(...Array.from({ length: 30 }, (_, i) => `${i}.jpg`));
    const abort = interruptible();
    api.intercept = ({ method, path }) => {
      // Ten are answered, the others are under way for good. Eight go at once, so whoever announces the eighteenth has
      // taken note of ten answers.
      if (method === "PUT" && Number(path.split("ref-").at(-1)) > 10) return "handled";
      if (calls("POST", /uploads/).length === 18) abort.abort();
      return undefined;
    };
    const { status, stderr } = await batch(["in", "--run-id", "r-1"], { signal: abort.signal });
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("nothing has started; 10 of 30 are uploaded");
    expect(api.uploads.size).toBe(10);
    expect(api.runs.size).toBe(0);

    api.intercept = () => undefined;
    const before = calls("POST", /uploads/).length;
    // Begun before under this id: that is no new batch.
    expect((await batch(["in", "--run-id", "r-1"])).stderr).toMatch(/was begun before/);
    expect((await batch(["--resume", "r-1", "--concurrency", "2"])).status).toBe(exit.ok);
    expect(calls("POST", /uploads/).length - before).toBe(20);
    expect(api.runs.get("r-1")?.body).toMatchObject({ concurrency: 2 });
    const lines = api.runs.get("r-1")?.body.manifest as { file: string; image_ref: string }[];
    for (const { file, image_ref } of lines) expect(String(api.uploads.get(image_ref))).toBe(pictureOf(file));
  });

  it("a process that dies right after the run was taken makes no second one when it is resumed", async () => {
    pictures("a.jpg");
    let state = "";
    api.onRun = () => {
      state = cli.read("home/batches/r-1.json");
    };
    await batch(["in", "--run-id", "r-1"]);
    cli.file("home/batches/r-1.json", state);
    expect(JSON.parse(state).sent).toBe(false);
    expect((await batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(calls("POST", /batch_extract/)).toHaveLength(1);
    expect(api.uploads.size).toBe(1);
  });

  it("uploads that are about to be swept are made again", async () => {
    pictures("a.jpg");
    const refuse = { on: true };
    api.intercept = ({ path }) => (refuse.on && path === "/v1/batch_extract" ? 400 : undefined);
    expect((await batch(["in", "--run-id", "r-1"])).status).toBe(exit.failed);
    const state = JSON.parse(cli.read("home/batches/r-1.json"));
    state.entries[0].uploadedAt = Date.now() - 6.5 * 24 * 3_600_000;
    cli.file("home/batches/r-1.json", JSON.stringify(state));
    refuse.on = false;
    expect((await batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(api.uploads.size).toBe(2);
  });

  it("the key of another server is never sent to the one that has the batch", async () => {
    pictures("a.jpg");
    await batch(["in", "--run-id", "r-1", "--no-wait"]);
    const before = api.seen.length;
    const other = { OCRLTY_URL: "https://other.example", OCRLTY_API_KEY: "other-key" };
    const { status, stderr } = await cli.run(["batch", "--resume", "r-1"], { env: other });
    expect({ status, calls: api.seen.length - before }).toEqual({ status: exit.failed, calls: 0 });
    expect(stderr).toContain(`this batch was sent to ${api.url}/`);
    expect((await cli.run(["batch", "--resume", "r-1", "--key", "key-1"], { env: other })).status).toBe(
      exit.ok,
    );
  });
});
