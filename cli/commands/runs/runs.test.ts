import * as fs from "node:fs";
import { join } from "node:path";
import { readXlsx } from "hucre/xlsx";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import * as Task from "#core/task/task";
import { type Rig, start } from "#test/support/batch-rig";
import * as Papers from "#test/support/papers";

let rig: Rig;
let cli: Rig["cli"];
let api: Rig["api"];
beforeEach(async () => {
  rig = await start();
  ({ cli, api } = rig);
});
afterEach(() => rig.close());

describe("runs", () => {
  const run = (...args: string[]) => cli.run(args, { env: rig.env() });
  beforeEach(async () => {
    rig.pictures("a.jpg", "b.jpg");
    await run("batch", "in", "--run-id", "r-1");
  });

  it("run, items and results are printed, items page by page", async () => {
    expect(JSON.parse((await run("run", "r-1")).stdout)).toMatchObject({
      run_id: "r-1",
      counts: { total: 2 },
    });
    expect((await run("items", "r-1")).stdout).toMatch(/^ITEM +STATUS +TOTAL\na\.jpg +succeeded +0\.00\n/);
    const stored = api.runs.get("r-1");
    if (stored)
      stored.items = Array.from({ length: 450 }, (_, index) => ({
        ...stored.items[0],
        index,
        status: "succeeded",
      }));
    const lines = (await run("items", "r-1", "--json")).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).index)).toEqual(Array.from({ length: 450 }, (_, i) => i));
    expect((await run("items", "r-1", "--json", "--limit", "3")).stdout.trim().split("\n")).toHaveLength(3);
  });

  it("results go to stdout or to a file, in the format of its extension", async () => {
    expect(JSON.parse((await run("results", "r-1")).stdout)).toMatchObject({ run_id: "r-1" });
    expect((await run("results", "r-1", "--format", "csv")).stdout).toBe("csv\na.jpg\nb.jpg\n");
    const mixed = await run("results", "r-1", "--format", "csv", "--json");
    expect(JSON.parse(mixed.stdout).error.message).toMatch(/name the file/);
    expect((await run("results", "r-1", "--out", "x.csv")).stdout).toBe("x.csv\n");
    expect(cli.read("x.csv")).toBe("\ufeffcsv\na.jpg\nb.jpg\n");
    expect((await run("results", "r-1", "--out", "x.csv")).status).toBe(exit.failed);
    expect(fs.readdirSync(cli.dir).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("a table is written for Excel by default, and never with a byte order mark to stdout", async () => {
    const csv = 'index,total\n0,"1;2"\n1,"3,4"\n';
    api.intercept = ({ method, path }, response) => {
      if (method !== "GET" || !path.includes("/results")) return undefined;
      response.writeHead(200, { "content-type": "text/csv" });
      response.end(csv);
      return "handled";
    };
    const saved = async (...args: string[]) => {
      expect((await run("results", "r-1", ...args)).status).toBe(exit.ok);
      return cli.read(args[1] ?? "");
    };
    expect(await saved("--out", "t1.csv", "--no-bom")).toBe(csv);
    expect(await saved("--out", "t2.csv", "--dialect", "semicolon")).toBe(
      '\ufeffindex;total\n0;"1;2"\n1;3,4\n',
    );
    expect(await saved("--out", "t3.tsv", "--no-bom")).toBe("index\ttotal\n0\t1;2\n1\t3,4\n");
    expect((await run("results", "r-1", "--format", "csv", "--dialect", "tab")).stdout).toBe(
      "index\ttotal\n0\t1;2\n1\t3,4\n",
    );
    expect((await run("results", "r-1", "--dialect", "pipe")).status).toBe(exit.failed);
  });

  it("a workbook, and tables of only printed or only canonical values, are made here from the items' file, however large", async () => {
    const stored = api.runs.get("r-1");
    const means = { normalized: { total: { value: "0", currency: null, decimals: 2 } } };
    if (stored)
      stored.items = stored.items.map((item) => ({
        ...{ ...item, ...means, warnings: [], checks: [], schema_errors: [] },
      }));
    const { status, stdout } = await run("results", "r-1", "--out", "x.xlsx");
    expect([status, stdout]).toEqual([exit.ok, "x.xlsx\n"]);
    const { sheets } = await readXlsx(fs.readFileSync(join(cli.dir, "x.xlsx")));
    expect(sheets.map(({ name }) => name)).toEqual(["documents", "line_items"]);
    const [header = [], ...rows] = sheets[0]?.rows ?? [];
    const column = (name: string) => rows.map((row) => row[header.indexOf(name)]);
    expect(column("file")).toEqual(["a.jpg", "b.jpg"]);
    expect(column("total")).toEqual(["0.00", "1.00"]);
    expect(column("total_value")).toEqual([0, 0]);

    const canonical = await run("results", "r-1", "--format", "csv", "--values", "canonical");
    expect(canonical.stdout).toMatch(
      /,complete,total_value,total_currency,checks_failed,ambiguous,tags,quality,pages,document,model_seconds\n0,/,
    );
    await run("results", "r-1", "--out", "p.csv", "--values", "printed", "--dialect", "tab");
    expect(cli.read("p.csv")).toMatch(/^\ufeffindex\tcustom_id\t.*\ttotal\twarnings\tcomplete\n0\t/);
    expect(rig.calls("GET", /results/).every(({ path }) => path.includes("format=jsonl"))).toBe(true);

    for (const args of [
      ["--format", "xlsx"],
      ["--values", "printed"],
      ["--format", "csv", "--values", "all"],
    ]) {
      const refused = await run("results", "r-1", ...args);
      expect([args, refused.status, refused.stdout]).toEqual([args, exit.failed, ""]);
    }
  });

  it("a ledger's file is made here by a mapping; items that it cannot book are named, and change the exit status", async () => {
    const stored = api.runs.get("r-1");
    if (stored)
      stored.items = [Papers.receipt(0), Papers.receipt(1, { tax: "1.60" })].map((item) => ({ ...item }));
    api.intercept = ({ path }, response) => {
      if (!path.startsWith("/v1/tasks/")) return undefined;
      response.end(JSON.stringify({ fields: Task.get("receipt_v1")?.fields }));
      return "handled";
    };
    cli.file("mapping.json", Buffer.from(`\ufeff${JSON.stringify(Papers.beancount)}`));
    const made = (...args: string[]) => run("results", "r-1", "--format", "beancount", ...args);
    const mapped = ["--mapping", "mapping.json", "--out"];
    const first = await made(...mapped, "x.beancount");
    expect([first.status, first.stdout]).toEqual([exit.items, "x.beancount\n"]);
    expect(first.stderr).toContain(
      "item 1 (1.png) is left out, tax_not_split: it prints its tax without a rate",
    );
    expect(cli.read("x.beancount")).toContain("  Assets:Cash  -10.00 EUR\n");
    const json = await made(...mapped, "y.beancount", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      files: ["y.beancount"],
      left_out: [{ index: 1, reason: "tax_not_split" }],
    });
    if (stored) stored.items.length = 1;
    expect((await made(...mapped, "z.beancount")).status).toBe(exit.ok);

    const refused: [string[], string][] = [
      [["--format", "beancount", "--out", "a.b"], "beancount needs your accounts: --mapping FILE"],
      [["--format", "beancount", "--mapping", "none.json", "--out", "a.b"], "none.json cannot be read"],
      [["--format", "xero", ...mapped, "a.csv"], "\n  date_format: is missing: one of"],
      [["--format", "datev", ...mapped, "a.csv"], "names begin with EXTF_: --out EXTF_a.csv"],
      [["--format", "csv", ...mapped, "a.csv"], "--mapping is for the formats datev, xero"],
      [["--format", "beancount", "--mapping", "mapping.json"], "goes into a file: name it with --out"],
      [["--format", "csv", "--out", "z.xlsx"], "z.xlsx: csv goes into a file that ends in .csv"],
      [["--format", "jsonl", "--out", "z.csv"], "z.csv: jsonl goes into a file that ends in .jsonl"],
      [["--format", "xero", ...mapped, "z.xlsx"], "z.xlsx: xero goes into a file that ends in .csv"],
    ];
    for (const [args, message] of refused) {
      const { status, stderr } = await run("results", "r-1", ...args);
      expect([args, status]).toEqual([args, exit.failed]);
      expect(stderr).toContain(message);
    }
  });

  it("large results come from the signed address, and no key goes there", async () => {
    api.intercept = ({ method, path }, response) => {
      if (method !== "GET" || !/results|bucket/.test(path)) return undefined;
      response.writeHead(200, { "content-type": path.includes("bucket") ? "text/csv" : "application/json" });
      response.end(
        path.includes("bucket")
          ? "large\n"
          : JSON.stringify({ url: `${api.url}/bucket/x`, expires_at: "2026" }),
      );
      return "handled";
    };
    expect((await run("results", "r-1", "--format", "csv")).stdout).toBe("large\n");
    expect(rig.calls("GET", /bucket/).map(({ key }) => key)).toEqual([undefined]);
  });

  it("an interrupted download leaves no file", async () => {
    api.intercept = ({ path }, response) => {
      if (!path.includes("results")) return undefined;
      response.writeHead(200, { "content-type": "text/csv", "content-length": "100" });
      response.write("half");
      setImmediate(() => response.destroy());
      return "handled";
    };
    const abort = new AbortController();
    const { status } = await cli.run(["results", "r-1", "--out", "x.csv"], {
      env: rig.env(),
      signal: abort.signal,
      onSay: () => abort.abort(),
    });
    expect(status).toBe(exit.interrupted);
    expect(fs.readdirSync(cli.dir).filter((name) => name.startsWith("x."))).toEqual([]);
  });

  it.each([
    ["run", "GET", /^\/v1\/runs\/r-1\?key_id=key-2$/],
    ["items", "GET", /^\/v1\/runs\/r-1\/items\?(.*&)?key_id=key-2/],
    ["results", "GET", /^\/v1\/runs\/r-1\/results\?format=json&as=url&key_id=key-2$/],
    ["cancel", "POST", /^\/v1\/runs\/r-1\/cancel\?key_id=key-2$/],
    ["delete", "DELETE", /^\/v1\/runs\/r-1\?key_id=key-2$/],
  ])("%s --key-id asks for another key's run, in every call", async (verb, method, path) => {
    const before = api.seen.length;
    if (verb === "delete")
      api.intercept = (seen) => {
        if (seen.method === "DELETE") api.runs.delete("r-1");
        return undefined;
      };
    await run(verb, "r-1", "--key-id", "key-2", ...(verb === "delete" ? ["--yes"] : []));
    expect(rig.calls(method, path)).toHaveLength(1);
    const about = api.seen.slice(before).filter((seen) => seen.path.startsWith("/v1/runs/"));
    for (const seen of about) expect(seen.path).toContain("key_id=key-2");
  });

  it("runs shows the keys if the runs have several, and says if there are more", async () => {
    const told = (id: string, owner: string) => ({ ...api.told(id), key_id: owner });
    const listed = (...runs: object[]) => {
      api.intercept = ({ path }, response) => {
        if (!path.startsWith("/v1/runs?")) return undefined;
        response.end(JSON.stringify({ items: runs, next_cursor: null }));
        return "handled";
      };
    };
    listed(told("r-1", "key-1"), told("r-1", "key-2\u001b]0;x"));
    const [head, first, second] = (await run("runs", "--key-id", "any")).stdout.split("\n");
    expect(head).toMatch(/CANCELED +KEY$/);
    expect(first).toMatch(/ key-1$/);
    expect(second).toMatch(/ key-2\\u\{1b\}\]0;x$/);
    expect(rig.calls("GET", /^\/v1\/runs\?.*key_id=any/)).toHaveLength(1);
    const cut = await run("runs", "--limit", "1");
    expect(cut.stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(cut.stderr).toBe("… and more: these are the newest 1 (--limit)\n");
    listed(told("r-1", "key-1"));
    const whole = await run("runs", "--limit", "1");
    expect([whole.stdout, whole.stderr]).toEqual([expect.not.stringContaining("KEY"), ""]);
  });

  it("an unknown run, and a deletion without --yes, give exit status 2", async () => {
    expect(await run("run", "nobody")).toMatchObject({ status: exit.failed, stdout: "" });
    const { status, stderr } = await run("delete", "r-1");
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/for good: add --yes/);
    expect(rig.calls("DELETE", /./)).toEqual([]);
  });
});
