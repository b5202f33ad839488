import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { pictureOf } from "#test/support/batch-cli";
import { type Rig, start } from "#test/support/batch-rig";

let rig: Rig;
beforeEach(async () => {
  rig = await start();
});
afterEach(() => rig.close());

describe("batch", () => {
  it("uploads a folder, runs it, and writes the results with the line items beside them", async () => {
    rig.pictures("b 10.jpg", "b 2.jpg", "sub/c.png");
    const options = [
      "--task",
      "receipt_v1",
      "--concurrency",
      "7",
      "--keep-inputs",
      "--no-look",
      "--webhook",
      "https://x.example/",
    ];
    const { status, stdout, stderr } = await rig.batch([
      "in",
      "--out",
      "results.csv",
      "--run-id",
      "r-1",
      ...options,
    ]);
    expect(stderr).not.toContain("error");
    expect(status).toBe(exit.ok);
    const { manifest, ...body } = rig.api.runs.get("r-1")?.body ?? {};
    expect(body).toEqual({
      run_id: "r-1",
      task_id: "receipt_v1",
      concurrency: 7,
      persist_inputs: true,
      look: false,
      webhook_url: "https://x.example/",
    });
    const lines = manifest as { file: string; image_ref: string }[];
    expect(lines.map(({ file }) => file)).toEqual(["b 2.jpg", "b 10.jpg", "sub/c.png"]);
    // Every name is with its own bytes, in whatever order they arrived.
    for (const { file, image_ref } of lines)
      expect(String(rig.api.uploads.get(image_ref))).toBe(pictureOf(file));
    expect(rig.cli.read("results.csv")).toBe("\ufeffcsv\nb 2.jpg\nb 10.jpg\nsub/c.png\n");
    expect(rig.cli.read("results.line_items.csv")).toMatch(/^\ufeffline_items_csv\n/);
    expect(stdout).toBe("r-1 succeeded: 3 of 3 succeeded\nresults.csv\nresults.line_items.csv\n");
    expect(rig.states()).toEqual([]);
    // The bucket never sees the key.
    expect(new Set(rig.calls("PUT", /bucket/).map(({ key }) => key))).toEqual(new Set([undefined]));
  });

  it("asks for auto unless --concurrency is given, and shows the run's slots", async () => {
    rig.pictures("a.jpg");
    await rig.batch(["in", "--run-id", "r-auto"]);
    expect(rig.api.runs.get("r-auto")?.body).toMatchObject({ concurrency: "auto" });
    await rig.batch(["in", "--run-id", "r-named", "--concurrency", "auto"]);
    expect(rig.api.runs.get("r-named")?.body).toMatchObject({ concurrency: "auto" });
  });

  it("prints a table without --out, a line of JSON per item with --json, and exits with 1 when items failed", async () => {
    rig.pictures("a.jpg", "b.jpg");
    rig.api.onRun = ({ items }) => {
      Object.assign(items[1] ?? {}, {
        status: "failed",
        result: null,
        error: { code: "invalid_image", message: "no picture\u001b[2J" },
      });
    };
    const plain = await rig.batch(["in"]);
    expect(plain.status).toBe(exit.items);
    expect(plain.stdout).toBe(
      "ITEM   STATUS                  TOTAL\na.jpg  succeeded               0.00\nb.jpg  failed (invalid_image)\n",
    );
    expect(plain.stderr).toMatch(/1 of 2 succeeded, 1 failed\n$/);
    const json = await rig.batch(["in", "--json"]);
    expect(json.status).toBe(exit.items);
    const items = json.stdout.trim().split("\n");
    expect(items.map((line) => JSON.parse(line).file)).toEqual(["a.jpg", "b.jpg"]);
  });

  it("never has more than eight uploads under way, and all pictures arrive", async () => {
    rig.pictures(...Array.from({ length: 40 }, (_, i) => `${i}.jpg`));
    expect((await rig.batch(["in", "--no-wait"])).status).toBe(exit.ok);
    expect(rig.api.uploads.size).toBe(40);
    expect(rig.api.mostAtOnce).toBeGreaterThan(1);
    expect(rig.api.mostAtOnce).toBeLessThanOrEqual(8);
  });

  it("survives errors of server, bucket and network, and repeats neither the run nor an upload", async () => {
    rig.pictures("a.jpg");
    const failing = [
      "POST /v1/uploads",
      "PUT /bucket",
      "PUT lost",
      "POST /v1/batch_extract",
      "GET /v1/runs/",
    ];
    rig.api.intercept = ({ method, path }, response) => {
      const next = failing.find((each) => {
        const [wanted = "", where = ""] = each.split(" ");
        return method === wanted && (where === "lost" || path.startsWith(where));
      });
      // The look-up of a run with this id comes before everything else.
      if (next === undefined || (next.startsWith("GET") && rig.api.runs.size === 0)) return undefined;
      failing.splice(failing.indexOf(next), 1);
      if (next !== "PUT lost") return 503;
      // It arrived, and its answer was lost.
      rig.api.uploads.set(path.split("/").at(-1) ?? "", Buffer.from("a.jpg"));
      response.destroy();
      return "handled";
    };
    const { status, stderr } = await rig.batch(["in"]);
    expect(stderr).toContain("trying again");
    expect({ status, left: failing }).toEqual({ status: exit.ok, left: [] });
    expect(rig.calls("POST", /batch_extract/)).toHaveLength(2);
    expect(rig.api.runs.size).toBe(1);
    expect(rig.api.uploads.size).toBe(1);
  });

  it("sends a manifest over 1,000 lines as an upload, and lines with refs unchanged", async () => {
    const lines = Array.from({ length: 1_001 }, (_, i) =>
      JSON.stringify({ custom_id: `${i}`, image_ref: `x-${i}` }),
    );
    rig.cli.file("m.jsonl", lines.join("\n"));
    expect((await rig.batch(["m.jsonl", "--run-id", "many", "--no-wait"])).status).toBe(exit.ok);
    const { manifest_ref: ref } = rig.api.runs.get("many")?.body ?? {};
    expect(String(rig.api.uploads.get(String(ref)))).toBe(`${lines.join("\n")}\n`);
    expect(rig.calls("POST", /uploads/)).toHaveLength(1);
  });

  it.each<[string, string[], RegExp]>([
    ["no source", [], /name a folder/],
    ["a source that is not there", ["gone"], /gone does not exist/],
    ["a picture", ["in/a.jpg"], /neither a folder nor a \.jsonl manifest/],
    ["an empty folder", ["empty"], /there are no pictures/],
    ["a concurrency of 0", ["in", "--concurrency", "0"], /--concurrency must be a whole number from 1 to 64/],
    ["a concurrency in words", ["in", "--concurrency", "most"], /from 1 to 64, or auto/],
    ["a concurrency of 65", ["in", "--concurrency", "65"], /1 to 64/],
    ["a concurrency of 1.5", ["in", "--concurrency", "1.5"], /1 to 64/],
    ["a limit of -1", ["in", "--limit", "-1"], /--limit/],
    ["an id that is none", ["in", "--run-id", "../x"], /1 to 100 letters/],
    ["a file that is there", ["in", "--out", "there.csv"], /there\.csv exists/],
    ["line items that are there", ["in", "--out", "l.csv"], /l\.line_items\.csv exists/],
    ["its own manifest", ["own.jsonl", "--force", "--out", "own.jsonl"], /is a file that this command reads/],
    ["an unknown kind of file", ["in", "--out", "x.ods"], /\.csv, \.tsv, \.xlsx, \.jsonl or \.json/],
    ["a folder that is not there", ["in", "--out", "no/x.csv"], /there is no folder/],
    ["an unknown task", ["in", "--task", "unknown_v1"], /not_found/],
    ["--resume with a source", ["in", "--resume", "x"], /needs no source/],
    ["a run that nobody knows", ["--resume", "nobody"], /not_found/],
    ["a webhook without https", ["in", "--webhook", "http://x"], /--webhook must be an https address/],
    ["a webhook with a password", ["in", "--webhook", "https://a:b@x.example"], /without user name/],
    ["a webhook that is not an address", ["in", "--webhook", "x"], /--webhook must be an https address/],
    ["a folder of other files", ["others"], /there are no pictures in others/],
  ])("%s is exit status 2 with nothing uploaded", async (_, args, message) => {
    rig.pictures("a.jpg");
    fs.mkdirSync(join(rig.cli.dir, "empty"));
    rig.cli.file("others/a.jpg", "no picture");
    rig.cli.file("there.csv", "mine");
    rig.cli.file("own.jsonl", '{"path":"in/a.jpg"}');
    rig.cli.file("l.line_items.csv", "mine");
    const { status, stdout, stderr } = await rig.batch(args);
    expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("to go on");
    expect(rig.calls("POST", /./)).toEqual([]);
    expect(rig.cli.read("there.csv")).toBe("mine");
    expect(rig.states()).toEqual([]);
  });

  it("a run that could not be carried out gives exit status 1, with every mistake of its manifest", async () => {
    rig.pictures("a.jpg");
    rig.api.onRun = (run) => {
      run.status = "failed";
    };
    const { status, stderr, stdout } = await rig.batch(["in", "--out", "x.csv"]);
    expect({ status, stdout }).toEqual({ status: exit.items, stdout: "" });
    expect(stderr).toMatch(/error: batch-.* failed/);
    expect(fs.existsSync(join(rig.cli.dir, "x.csv"))).toBe(false);
  });
});

describe("a refusal after the uploads", () => {
  const limited = (limit: string, facts: object) => ({ code: "rate_limited", details: { limit, ...facts } });
  const hours = { "retry-after": "19800" };
  const refused = (
    answer: { status: number; code: string; details?: object; headers?: Record<string, string> },
    where = "/v1/batch_extract",
  ) => {
    rig.pictures("a.jpg", "b.jpg");
    rig.api.intercept = ({ method, path }, response) => {
      if (method !== "POST" || path !== where || rig.api.uploads.size < 2) return undefined;
      const { status, code, details, headers } = answer;
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify({ error: { code, message: "no\u001b[2J\nno", details } }));
      return "handled";
    };
    return rig.batch(["in", "--run-id", "r-1"]);
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
  ])("%s cannot be resumed", async (_, answer) => {
    const { status, stderr } = await refused(answer);
    expect(status).toBe(exit.failed);
    expect(stderr).toContain(`error: no\\u{1b}[2J\\u{a}no (${answer.code})\n`);
    expect(stderr).not.toContain("--resume");
    expect(rig.states()).toEqual([]);
  });

  it("when the day's limit is used up the message says when to try again, and then nothing is uploaded again", async () => {
    const details = { allowed: 5, used: 4, requested: 2 };
    const { stderr } = await refused({ status: 429, headers: hours, ...limited("items_per_day", details) });
    expect(stderr).toMatch(
      /to go on in 5 h 30 min \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\): npm run ocrlty -- batch --resume r-1\n/,
    );
    rig.api.intercept = () => undefined;
    expect((await rig.batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(rig.api.uploads.size).toBe(2);
  });

  it("a key that is refused in between loses no uploads: the batch can be resumed with another key", async () => {
    const { stderr } = await refused({ status: 401, code: "unauthorized" });
    expect(stderr).toContain("to go on with a key that may: npm run ocrlty -- batch --resume r-1\n");
    rig.api.intercept = () => undefined;
    expect((await rig.batch(["--resume", "r-1", "--key", "key-2"])).status).toBe(exit.ok);
    expect(rig.calls("POST", /uploads/)).toHaveLength(2);
  });
});

describe("files that are left out", () => {
  // Windows has no control characters in names.
  const oddName = process.platform === "win32" ? "c\u202e" : "c\n\u001b]0;x";

  it("are named before anything is sent, and the exit status is 1, also of a resumed batch", async () => {
    rig.pictures("a.jpg", "b.jpg");
    rig.cli.file(`in/${oddName}.jpg`, "text");
    fs.symlinkSync(rig.cli.file("secret.jpg"), join(rig.cli.dir, "in/link.jpg"));
    let before = -1;
    const onSay = (line: string) => {
      if (line.includes("left out") && before < 0) before = rig.api.seen.length;
    };
    const { status, stderr } = await rig.batch(["in", "--run-id", "r-1", "--no-wait"], { onSay });
    expect({ status, before, uploads: rig.api.uploads.size }).toEqual({
      status: exit.items,
      before: 0,
      uploads: 2,
    });
    expect(stderr).toContain("links that lead out of the folder, or nowhere (1): link.jpg\n");
    const odd = `named like a picture, but the first bytes are not one's (1): ${Text.shown(oddName)}.jpg\n`;
    expect(stderr).toContain(odd);
    const resumed = await rig.batch(["--resume", "r-1"]);
    expect(resumed.status).toBe(exit.items);
    expect(resumed.stderr).toContain(odd);
    const told = await rig.batch(["in", "--run-id", "r-2", "--out", "r.csv", "--json"]);
    expect(JSON.parse(told.stdout)).toMatchObject({
      run_id: "r-2",
      left_out: { count: 2, by_reason: { link_out: 1, not_what_it_is_called: 1 } },
    });
  });

  it("that are clearly not receipts are counted, and the exit status is 0", async () => {
    rig.pictures("a.jpg");
    for (const name of ["notes.txt", "Thumbs.db", ".gitignore"]) rig.cli.file(`in/${name}`, "text");
    const { status, stderr } = await rig.batch(["in", "--run-id", "r-1"]);
    expect(status).toBe(exit.ok);
    expect(stderr).toContain("3 left out of in:\n");
    rig.cli.file("in/x.psd", "8BPS");
    const other = await rig.batch(["in", "--run-id", "r-2"]);
    expect(other.status).toBe(exit.items);
    expect(other.stderr).toMatch(/such as DOCX and JPEG XL \(1\): x\.psd\n/);
  });
});
