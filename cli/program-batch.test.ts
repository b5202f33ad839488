/**
 * Against one local loop with a scripted model server: the commands for batches; the packed client in an empty folder;
 * and the operator's commands, which read the loop's own database, bucket and queues.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as DeadLetters from "#cli/server/dead-letters";
import { exit } from "#cli/terminal/context";
import { packageRoot } from "#local/home/home";
import { type Cli, open } from "#test/support/batch-cli";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import * as PackedClient from "#test/support/packed-client";
import { picture } from "#test/support/pictures";

const fields = {
  total: "12.00",
  subtotal: "-5.00",
  tax: null,
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};

let cli: Cli;
let loop: TestLoop;
let model: ModelServer.ModelServer;
/** While this is closed, the model server holds back its answers. */
let gate = Promise.withResolvers<void>();

beforeAll(async () => {
  cli = open();
  gate.resolve();
  model = await ModelServer.start({
    respond: async () => {
      await gate.promise;
      return ModelServer.json(fields);
    },
  });
  [loop, client] = await Promise.all([
    startLoop({
      home: join(cli.dir, "home"),
      env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", VLLM_API_KEY: "model-key" },
    }),
    PackedClient.install(cli.dir),
  ]);
  for (const [i, name] of ["receipt 10.jpg", "receipt 2.jpg", "sub/c.png"].entries())
    cli.file(`in/${name}`, await picture(i + 1, name.endsWith("png") ? "png" : "jpeg"));
  cli.file("broken/a.jpg", await picture(7));
  // It begins like a picture, so only the server finds out that it is none.
  cli.file("broken/b.jpg", Buffer.from("\xff\xd8\xffthis is not a picture at all", "latin1"));
});
afterAll(async () => {
  gate.resolve();
  await loop?.close();
  await model?.close();
  cli?.remove();
});

const rowsOf = (csv: string) =>
  csv
    .trim()
    .split("\n")
    .map((line) => line.split(","));

describe("on a local loop", () => {
  it("a folder becomes a table that a spreadsheet opens safely, in natural order", async () => {
    const { status, stdout } = await cli.run(["batch", "in", "--run-id", "one", "--out", "one.csv"]);
    const said = "one succeeded: 3 of 3 succeeded; 2 JPEG, 1 PNG, 3 pages\none.csv\n";
    expect([status, stdout]).toEqual([exit.ok, said]);
    const [head = [], ...rows] = rowsOf(cli.read("one.csv"));
    const column = (name: string) => rows.map((row) => row[head.indexOf(name)]);
    expect(column("file")).toEqual(["receipt 2.jpg", "receipt 10.jpg", "sub/c.png"]);
    expect(column("total")).toEqual(["12.00", "12.00", "12.00"]);
    // The text is not a formula, so it stays as printed.
    expect(column("subtotal")).toEqual(["-5.00", "-5.00", "-5.00"]);
  });

  it("only the broken picture fails: exit status 1, and a rerun of the failed items reads only that picture", async () => {
    const args = ["batch", "broken", "--run-id", "two", "--keep-inputs", "--json"];
    const { status, stdout } = await cli.run(args);
    expect(status).toBe(exit.items);
    const items = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(items.map(({ file, status }) => [file, status])).toEqual([
      ["a.jpg", "succeeded"],
      ["b.jpg", "failed"],
    ]);
    const before = model.requests.length;
    const again = await cli.run(["rerun", "two", "--only", "failed", "--out", "again.json"]);
    expect(again.status).toBe(exit.items);
    const { items: failed } = JSON.parse(cli.read("again.json"));
    expect(failed.map(({ file }: { file: string }) => file)).toEqual(["b.jpg"]);
    expect(model.requests.length).toBe(before);
  });

  it("Ctrl-C stops the waiting, not the run, and the resume gets all results without a second model call", async () => {
    gate = Promise.withResolvers<void>();
    const before = model.requests.length;
    const abort = new AbortController();
    const waiting = cli.run(
      ["batch", "in", "--run-id", "three", "--out", "three.jsonl", "--concurrency", "2"],
      {
        signal: abort.signal,
      },
    );
    await expect.poll(() => model.requests.length, { timeout: 10_000 }).toBe(before + 2);
    abort.abort();
    const { status, stderr } = await waiting;
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("npm run ocrlty -- batch --resume three\n");
    expect(cli.read("three.jsonl")).toBe("");
    gate.resolve();
    const resumed = await cli.run(["batch", "--resume", "three"]);
    expect(resumed.status).toBe(exit.ok);
    expect(cli.read("three.jsonl").trim().split("\n")).toHaveLength(3);
    expect(model.requests.length).toBe(before + 3);
  });

  it("data put fills a folder that a manifest names, ls shows it, rm removes it", async () => {
    const put = await cli.run(["data", "put", "in", "--as", "november", "--json"]);
    expect(JSON.parse(put.stdout)).toMatchObject({ images_dir: "local-admin/november", uploaded: 3 });
    expect(
      JSON.parse((await cli.run(["data", "put", "in", "--as", "november", "--json"])).stdout),
    ).toMatchObject({
      uploaded: 0,
      already_there: 3,
    });
    const key = "local-admin/november/sub/c.png";
    expect((await cli.run(["data", "ls", "local-admin/november/sub"])).stdout).toMatch(
      new RegExp(`${key}\n$`),
    );
    cli.file("m.jsonl", `{"image_key":"${key}","custom_id":"c","tags":{"store":"12"}}\n`);
    const run = await cli.run(["batch", "m.jsonl", "--json"]);
    expect(run.status).toBe(exit.ok);
    expect(JSON.parse(run.stdout)).toMatchObject({ custom_id: "c", tags: { store: "12" } });
    const removed = await cli.run(["data", "rm", "local-admin/november", "--yes", "--json"]);
    expect(JSON.parse(removed.stdout)).toEqual({ removed: 3, kept: 0 });
    expect((await cli.run(["data", "ls", "local-admin/"])).stdout).toBe("");
  });

  it("data rm skips files that are served read-only and says where they are; ls refuses the same names as rm", async () => {
    for (const name of ["a.jpg", "z.jpg"]) cli.file(`home/data/shared/both/${name}`, "GIF89a");
    await cli.run(["data", "put", "in", "--as", "both", "--shared"]);
    const { status, stdout, stderr } = await cli.run(["data", "rm", "shared/both", "--yes", "--json"]);
    expect({ status, ...JSON.parse(stdout) }).toEqual({ status: exit.items, removed: 3, kept: 2 });
    expect(stderr).toContain(
      `2 left: they are files of a folder that is served read-only (${join(cli.dir, "home")}`,
    );
    const left = (await cli.run(["data", "ls", "shared/bo"])).stdout.trim().split("\n");
    expect(left.map((line) => line.split("  ").at(-1))).toEqual(["shared/both/a.jpg", "shared/both/z.jpg"]);
    for (const name of ["../", "../x", "/etc", "a//b", "./x"])
      expect(await cli.run(["data", "ls", name])).toMatchObject({ status: exit.failed, stdout: "" });
  });

  it("runs, usage, cancel and delete report the run", async () => {
    expect((await cli.run(["runs", "--status", "succeeded"])).stdout).toMatch(
      /^RUN +STATUS[\s\S]*\none +succeeded/,
    );
    expect((await cli.run(["usage", "--group-by", "task"])).stdout).toMatch(/\nreceipt_fields_v1 +\d+/);
    const owned = (id: string) => ["run", "items", "results"].map((verb) => [verb, "one", "--key-id", id]);
    for (const args of owned("local-admin")) expect((await cli.run(args)).status, args[0]).toBe(exit.ok);
    for (const args of owned("client-1")) expect((await cli.run(args)).stderr, args[0]).toMatch(/not_found/);
    expect((await cli.run(["cancel", "one"])).stderr).toMatch(/conflict/);
    expect(await cli.run(["delete", "one", "--yes"])).toMatchObject({
      status: exit.ok,
      stdout: "one is deleted\n",
    });
    expect((await cli.run(["run", "one"])).status).toBe(exit.failed);
  });

  it("mistakes in a manifest that only the server finds are reported with every line, and no run starts", async () => {
    cli.file("bad.jsonl", '{"image_key":"someone-else/x.jpg"}\n{"image_ref":"upload_unknown"}\n'.repeat(3));
    const before = model.requests.length;
    const { status, stderr } = await cli.run(["batch", "bad.jsonl", "--run-id", "bad"]);
    expect(status).toBe(exit.failed);
    for (const line of [1, 2, 3, 4, 5, 6]) expect(stderr).toContain(`line ${line}: image_`);
    expect(stderr).not.toContain("--resume");
    expect((await cli.run(["run", "bad"])).status).toBe(exit.failed);
    expect(model.requests.length).toBe(before);
  });
});

let client: PackedClient.PackedClient;

describe("the packed client", () => {
  it("is one file of JavaScript without dependencies, in the version of the checkout", async () => {
    expect(client.files.toSorted()).toEqual(["LICENSE", "README.md", "dist/ocrlty.js", "package.json"]);
    const lock = JSON.parse(fs.readFileSync(join(client.project, "package-lock.json"), "utf8"));
    expect(Object.keys(lock.packages)).toEqual(["", "node_modules/ocrlty"]);
    expect(fs.readdirSync(join(client.project, "node_modules", ".bin"))).toContain("ocrlty");
    const { version } = JSON.parse(fs.readFileSync(join(packageRoot, "package.json"), "utf8"));
    expect(lock.packages["node_modules/ocrlty"].version).toBe(version);
    expect((await client.run("--version")).stdout).toBe(`${version}\n`);
  });

  it("reads a picture and a folder on the server of a profile, and a large picture through an upload", async () => {
    const add = ["profile", "add", "loop", "--url", loop.url, "--key", loop.apiKey];
    expect(await client.run(...add)).toMatchObject({
      status: exit.ok,
      stderr: expect.stringContaining("npx ocrlty whoami --profile loop"),
    });
    await client.run("profile", "use", "loop");
    expect(JSON.parse((await client.run("whoami", "--json")).stdout)).toMatchObject({
      key_id: "local-admin",
    });
    fs.mkdirSync(join(client.project, "in"));
    fs.writeFileSync(join(client.project, "in", "a.jpg"), await picture(1));
    // The bytes after a JPEG's end do not matter, but the size does.
    fs.writeFileSync(
      join(client.project, "large.jpg"),
      Buffer.concat([await picture(2), Buffer.alloc(4_000_000)]),
    );
    const one = await client.run("extract", "in/a.jpg", "large.jpg");
    expect(one.stderr).toContain("large.jpg: 4.0 MB, uploaded");
    const totals = one.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).result.total);
    expect(totals).toEqual(["12.00", "12.00"]);
    const batch = await client.run("batch", "in", "--run-id", "packed", "--out", "out.csv");
    const said = "packed succeeded: 1 of 1 succeeded; 1 JPEG, 1 page\nout.csv\n";
    expect([batch.status, batch.stdout]).toEqual([exit.ok, said]);
  });

  it("says in one line that a command needs a checkout, or how to name a server if there is none", async () => {
    for (const name of ["start", "keys"]) {
      const { status, stdout, stderr } = await client.run(name, "--port", "1");
      expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
      expect(stderr).toMatch(
        new RegExp(`^error: .ocrlty ${name}. needs a checkout: clone .*npx ocrlty ${name} in it\n$`),
      );
    }
    const lost = await client.run("whoami", "--profile", "local", "--json");
    expect(JSON.parse(lost.stdout).error).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^which server\?/),
    });
    expect(lost.stderr).toContain("(npx ocrlty profile add --help)");
  });
});

interface Finding {
  check: string;
  state: string;
  found: string;
  cure: string | null;
}

describe("doctor", () => {
  const examine = async (env: Record<string, string> = {}, ...args: string[]) => {
    const { status, stdout } = await cli.run(["doctor", "--json", ...args], { env });
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
    expect(status).toBe(ok ? exit.ok : exit.items);
    return { status, of: (check: string) => findings.find((each) => each.check === check) };
  };

  it("finds no problem in a running loop, and prints a table", async () => {
    const { status, of } = await examine();
    expect(status).toBe(exit.ok);
    expect(of("server")?.found).toContain(loop.url);
    expect(of("key")?.found).toMatch(/^local-admin, role admin, from .*api-key$/);
    for (const check of ["model_server", "storage", "database", "queue", "migrations", "queue single"])
      expect(of(check)?.state, check).toBe("ok");
    const { stdout } = await cli.run(["doctor"]);
    expect(stdout).toMatch(/^CHECK +STATE +FOUND +CURE\n[\s\S]*\nnothing is wrong\n$/);
    expect(stdout).not.toContain(loop.apiKey);
  });

  it("reports a refused key, a wrong setting and a dead letter, each with a remedy", async () => {
    const { client, urls } = DeadLetters.access({ env: { OCRLTY_HOME: join(cli.dir, "home") } });
    const { deadUrl } = await DeadLetters.find(client, urls.LATER_QUEUE_URL ?? "");
    await client.send(new SendMessageCommand({ QueueUrl: deadUrl, MessageBody: "{}" }));
    client.destroy();
    const { of } = await examine({ OCRLTY_API_KEY: "of-another-server", GPU_COST_PER_HOUR: "much" });
    expect(of("key")).toMatchObject({
      state: "wrong",
      cure: expect.stringContaining("unset OCRLTY_API_KEY"),
    });
    expect(of("settings")).toMatchObject({
      state: "wrong",
      found: expect.stringContaining("GPU_COST_PER_HOUR"),
    });
    expect(of("queue later")).toMatchObject({
      state: "wrong",
      found: "0 waiting, 1 dead letters",
      cure: "npm run ocrlty -- redrive later --dry-run",
    });
  });

  it("reports missing migrations, a token that ends soon, and a server that is away", async () => {
    cli.file("empty.db", "");
    const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 86_400 })).toString("base64url");
    const { of } = await examine(
      { DATABASE_URL: `file:${join(cli.dir, "empty.db")}`, DATABASE_AUTH_TOKEN: `a.${claims}.b` },
      ...["--url", "http://127.0.0.1:47123"],
    );
    expect(of("migrations")).toMatchObject({ state: "wrong", cure: "npm run ocrlty -- migrate" });
    expect(of("expiry DATABASE_AUTH_TOKEN")).toMatchObject({
      state: "wrong",
      found: expect.stringMatching(/^ends 2/),
    });
    expect(of("server")).toMatchObject({ state: "wrong" });
  });

  it("reports when a secret ends that the loop does not have", async () => {
    const soon = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
    const { of } = await examine({ RUNPOD_API_KEY: "k", CREDENTIALS_EXPIRE: `RUNPOD_API_KEY=${soon}` });
    expect(of("expiry RUNPOD_API_KEY")).toMatchObject({ state: "wrong", found: `ends ${soon}` });
  });
});

describe("restore", () => {
  it("restores a backup of the loop into its own bucket, which still has all objects", async () => {
    const made = await cli.run(["backup", "--out", "b.tar.gz", "--kind", "extracts"]);
    expect(made.status).toBe(exit.ok);
    const dry = await cli.run(["restore", "b.tar.gz", "--dry-run"]);
    expect(dry).toMatchObject({ status: exit.ok, stdout: "nothing was written\n" });
    const { status, stdout } = await cli.run(["restore", "b.tar.gz", "--json"]);
    expect(status).toBe(exit.ok);
    const { entries, restored } = JSON.parse(stdout);
    expect(entries).toBeGreaterThanOrEqual(2);
    expect(restored).toMatchObject({ written: 0, already_there: entries, conflicts: 0, rows: 0 });
  });

  it("an invalid archive is refused before anything is written", async () => {
    cli.file("bad.tar.gz", "no archive");
    const { status, stdout, stderr } = await cli.run(["restore", "bad.tar.gz", "--json"]);
    expect(status).toBe(exit.items);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: "damaged_archive",
      request_id: null,
      details: { file: "bad.tar.gz", problems: [expect.any(String)] },
    });
    expect(stderr).toMatch(/^error: bad\.tar\.gz: the archive is damaged/);
  });
});

describe("replay", () => {
  it("computes stored answers again from files, a backup, a run and all artifacts, and reports differences", async () => {
    const all = await cli.run(["replay", "--all"]);
    // Artifacts of pictures that could not be decoded contain no text of a model; all others are as they were
    // written.
    const sum = /(?:^|\n)(\d+) of (\d+) the same; (\d+): no text of a model is stored\n$/.exec(all.stdout);
    const [same, total, without] = (sum ?? []).slice(1).map(Number);
    expect([all.status, same]).toEqual([exit.items, Number(total) - Number(without)]);
    expect(same).toBeGreaterThan(3);
    const backup = await cli.run(["replay", "b.tar.gz"]);
    expect(backup.stdout).toContain(sum?.[0]);
    // b.jpg is not a picture, so its artifact contains no text of a model.
    const two = await cli.run(["replay", "two"]);
    expect([two.status, two.stdout]).toEqual([
      exit.items,
      "two~1: no text of a model is stored\n1 of 2 the same; 1: no text of a model is stored\n",
    ]);
    const { stdout: text } = await cli.run(["artifact", "get", "two~0"]);
    cli.file("kept/a.json", text);
    cli.file("kept/altered.json", text.replace('"total": "12.00"', '"total": "13.00"'));
    cli.file("kept/other.json", "{}");
    const files = await cli.run(["replay", "kept"]);
    expect(files.status).toBe(exit.items);
    expect(files.stdout).toMatch(
      /^altered\.json differs \(written by [\d.]+, this is [\d.]+; by the same rules: [^)]+\)\n {2}result\.total: "13\.00" is stored, "12\.00" is computed\n/,
    );
    expect(files.stdout).toContain("\n1 of 3 the same; 1 differ; 1: no artifact of an extract\n");
  });

  it("--live asks the model again with the kept pictures, and counts what changed field by field", async () => {
    const same = await cli.run(["replay", "two", "--live"]);
    expect(same).toMatchObject({
      status: exit.ok,
      stdout: expect.stringMatching(/^FIELD[\s\S]*\n1 of 1 document is the same\n$/),
    });
    model.respond = () => ModelServer.json({ ...fields, total: "13.00" });
    const drifted = await cli.run(["replay", "two", "--live", "--json"]);
    expect(drifted.status).toBe(exit.items);
    expect(JSON.parse(drifted.stdout)).toMatchObject({ source_run_id: "two", compared: 1, same: 0 });
    expect(JSON.parse(drifted.stdout).fields).toContainEqual({ field: "total", same: 0, changed: 1 });
    expect(JSON.parse(drifted.stdout).fields).toContainEqual({ field: "tax", same: 1, changed: 0 });
  });

  it("an unreadable source is reported in one line: a damaged backup, a missing path, --live without a run", async () => {
    for (const [args, line] of [
      [["replay", "bad.tar.gz"], /^error: bad\.tar\.gz: the archive is damaged/],
      [["replay", "nowhere.json"], /^error: nowhere\.json is not there/],
      [["replay", "nosuch"], /^error: there is neither a run nor an extract nosuch/m],
      [["replay", "kept", "--live"], /^error: kept: --live takes the id of one run/],
      [["replay"], /^error: name files, folders, backups or ids/],
    ] as const) {
      const { status, stderr } = await cli.run([...args]);
      expect([status, stderr], args.join(" ")).toEqual([exit.failed, expect.stringMatching(line)]);
    }
  });
});
