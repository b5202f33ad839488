import { createClient } from "@libsql/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import * as RunLabels from "#core/run/labels";
import * as BatchCli from "#test/support/batch-cli";
import { type Batches, open, silent } from "#test/support/batches/batches";
import type { Answer, CallOptions } from "#test/support/loop";
import { picture } from "#test/support/pictures";

const pepper = "pepper-of-ground-truths";
let batches: Batches;
let db: Database.Db;
let keys: string[];
let debuggers: string;
let clients: string;

beforeAll(async () => {
  batches = await open({ timeScale: 1 / 10, env: { API_KEY_PEPPER: pepper } });
  db = Database.wrap(createClient({ url: `file:${batches.loop.home}/ocrlty.db`, timeout: 5_000 }));
  keys = await batches.keys(2);
  debuggers = (await Key.create(db, pepper, { keyId: "labels", role: "debugger" })).api_key;
  clients = (await Key.create(db, pepper, { keyId: "reads", role: "client" })).api_key;
});
afterAll(async () => {
  db?.client.close();
  await batches?.close();
});

const call = (path: string, options: CallOptions = {}) =>
  batches.loop.call(path, { key: debuggers, ...options });
const bodyOf = (answer: Answer) => answer.body as Record<string, unknown> & { gt_id: string };
const errorOf = (answer: Answer) =>
  (answer.body as { error: { code: string; message: string; param: string; details: { reason?: string } } })
    .error;
const keep = (name: string, more: object) => call("/v1/ground_truths", { json: { name, ...more } });
const labels = [{ file: "a.jpg", fields: { total: "1.00" } }];

describe("labels", () => {
  test("can be sent as JSON, as a form and by an upload; all three give the same version", async () => {
    const made = await keep("dev", { content: labels });
    expect(made.status, made.text).toBe(201);
    const { gt_id } = bodyOf(made);
    expect(made.headers.get("location")).toBe(`/v1/ground_truths/${gt_id}`);

    const body = (fileText: string, boundary = "x7") =>
      [
        ...[`--${boundary}`, 'Content-Disposition: form-data; name="name"', "", "dev"],
        ...[`--${boundary}`, 'Content-Disposition: form-data; name="file"; filename="l.jsonl"', "", fileText],
        `--${boundary}--`,
        "",
      ].join("\r\n");
    const headers = { "content-type": "multipart/form-data; boundary=x7" };
    const again = await call("/v1/ground_truths", { headers, body: body(JSON.stringify(labels[0])) });
    expect(again.status, again.text).toBe(200);
    expect(bodyOf(again)).toMatchObject({ gt_id, records: 1 });
    const large = await call("/v1/ground_truths", { headers, body: body("x".repeat(4.1 * 1024 * 1024)) });
    expect(large.status).toBe(413);
    expect(errorOf(large)).toMatchObject({ code: "payload_too_large", details: { reason: "gt_too_large" } });

    const text = JSON.stringify({ items: labels });
    const announced = await call("/v1/uploads", { json: { kind: "ground_truth", bytes: text.length } });
    const {
      upload_url,
      headers: put,
      data_ref,
    } = announced.body as {
      upload_url: string;
      headers: Record<string, string>;
      data_ref: string;
    };
    await fetch(upload_url, { method: "PUT", headers: put, body: text });
    expect(bodyOf(await keep("dev", { data_ref }))).toMatchObject({ gt_id });
    expect(bodyOf(await keep("dev", { content: '\n{"file":"a.jpg","total":"1.00"}' }))).toMatchObject({
      records: 1,
      previous: { gt_id },
    });
  });

  test("are fetched by their address, listed, and gone when they are deleted", async () => {
    const { gt_id } = bodyOf(await keep("fetched", { content: { "x/b.jpg": { total: "?" } } }));
    const { content_url } = (await call(`/v1/ground_truths/${gt_id}`)).body as { content_url: string };
    expect(await (await fetch(content_url)).text()).toBe('{"file":"x/b.jpg","total":"?"}\n');
    const listed = await call("/v1/ground_truths?name=fetched");
    expect(listed.body).toMatchObject({ items: [{ gt_id, name: "fetched" }], next_cursor: null });
    const deleted = await call(`/v1/ground_truths/${gt_id}`, { method: "DELETE" });
    expect(deleted.body).toEqual({ deleted: { ground_truths: 1 } });
    expect((await call(`/v1/ground_truths/${gt_id}`)).status).toBe(404);
    expect((await fetch(content_url)).status).toBe(404);
  });

  test("that are wrong, of another key, or sent without the scope each have their own error", async () => {
    const wrong = await keep("wrong", { content: [{ file: "a", t: { any: [] } }] });
    expect(wrong.status).toBe(400);
    expect(errorOf(wrong)).toMatchObject({
      code: "invalid_request",
      message: "records.0.t.any: has no accepted value",
      details: { reason: "gt_bad_records", issue_count: 1 },
    });
    for (const more of [{}, { content: labels, data_ref: "upload_x" }])
      expect(errorOf(await keep("wrong", more)).message).toMatch(
        /exactly one of content, data_ref is needed/,
      );
    const scope = await call("/v1/ground_truths", { key: clients, json: { name: "n", content: labels } });
    expect([scope.status, errorOf(scope).code]).toEqual([403, "forbidden"]);
    const { gt_id } = bodyOf(await keep("mine", { content: labels }));
    const other = await batches.loop.call(`/v1/ground_truths/${gt_id}`);
    expect(errorOf(other)).toMatchObject({
      code: "not_found",
      message: "there is no ground truth with this id",
    });
    expect((await batches.loop.call(`/v1/ground_truths/${gt_id}?key_id=labels`)).status).toBe(200);
  });
});

describe("a run", () => {
  const manifest = () => [{ file: "one.jpg", image_key: keys[0] }];

  test("becomes a draft; the corrected draft is the next version", async () => {
    const { call: admin } = batches.loop;
    await batches.made({ manifest: manifest(), run_id: "to-draft" });
    await batches.ended("to-draft");
    const draft = await admin("/v1/ground_truths/from_run", {
      json: { name: "drafted", run_id: "to-draft" },
    });
    expect(draft.status, draft.text).toBe(201);
    expect(draft.body).toMatchObject({ records: 1, from_run_id: "to-draft" });
    const shown = (await admin(`/v1/ground_truths/${bodyOf(draft).gt_id}`)).body as { content_url: string };
    const ordered = await admin("/v1/evals", {
      json: { run_id: "to-draft", gt_id: bodyOf(draft).gt_id },
    });
    const { poll_url } = ordered.body as { poll_url: string };
    await vi.waitFor(
      async () => {
        const evaluation = await admin(poll_url);
        expect(evaluation.body).toMatchObject({ status: "succeeded", gt_from_run_id: "to-draft" });
      },
      { timeout: 30_000, interval: 100 },
    );
    const text = await (await fetch(shown.content_url)).text();
    const corrected = { ...JSON.parse(text), fields: { total: "99.00" } };
    const next = await admin("/v1/ground_truths", { json: { name: "drafted", content: [corrected] } });
    expect(next.body).toMatchObject({ previous: { gt_id: bodyOf(draft).gt_id }, from_run_id: null });

    const { objects } = await Bucket.list(batches.bucket, silent, { prefix: "batches/" });
    const results = objects.filter(({ rel }) => rel.includes("to-draft") && rel.endsWith(".jsonl"));
    expect(results).toHaveLength(1);
    for (const { rel } of results) await Bucket.remove(batches.bucket, silent, rel);
    const gone = await admin("/v1/ground_truths/from_run", { json: { name: "gone", run_id: "to-draft" } });
    expect([gone.status, errorOf(gone)]).toMatchObject([
      409,
      { code: "conflict", message: "this run has no results", details: { reason: "results_missing" } },
    ]);
    expect((await admin("/v1/ground_truths?name=gone")).body).toMatchObject({ items: [] });
  });

  test("stores which labels it is measured by, and the step that ends it reads them", async () => {
    const { gt_id } = bodyOf(
      await keep("by", { content: [{ img: "a.jpg", total: "5" }], gt_image_key: "img" }),
    );
    const made = await call("/v1/batch_extract", {
      json: { manifest: manifest(), run_id: "measured", gt_id },
    });
    expect(made.status, made.text).toBe(202);
    expect((await batches.row("measured")).evaluateBy).toEqual({ gt_id, image_key: "img" });
    const stores = { db, bucket: batches.bucket };
    const read = async () => {
      const wanted = await RunLabels.labelsOf(stores, silent, await batches.row("measured"));
      const all = [];
      for await (const { image } of wanted?.records() ?? []) all.push(image);
      return all;
    };
    expect(await read()).toEqual(["a.jpg"]);
    // With another ground truth it is another run.
    const other = { manifest: manifest(), run_id: "measured" };
    expect((await call("/v1/batch_extract", { json: other })).status).toBe(409);
    await call(`/v1/ground_truths/${gt_id}`, { method: "DELETE" });
    await expect(read()).rejects.toMatchObject({ details: { reason: "gt_deleted" } });
  });

  test("takes labels below the data root in debug mode, on every route that makes one", async () => {
    const body = JSON.stringify({ file: "a.jpg", total: "7" });
    const contentType = "application/json";
    await Bucket.replace(batches.bucket, silent, "data/shared/gt.json", { body, contentType });
    const by = { gt_path: "shared/gt.json", gt_image_key: "file" };
    const more = { persist_inputs: true, ...by };
    await batches.made({ manifest: manifest(), run_id: "by-path", ...more });
    const evaluateBy = { object_key: "data/shared/gt.json", etag: expect.any(String), image_key: "file" };
    const made = await batches.row("by-path");
    expect(made.evaluateBy).toEqual(evaluateBy);
    const wanted = await RunLabels.labelsOf({ db, bucket: batches.bucket }, silent, made);
    for await (const { image } of wanted?.records() ?? []) expect(image).toBe("a.jpg");
    await batches.ended("by-path");
    const again = { source_run_id: "by-path", run_id: "rerun-by-path", ...by };
    expect((await batches.loop.call("/v1/batch_extract_rerun", { json: again })).status).toBe(202);
    expect((await batches.row("rerun-by-path")).evaluateBy).toEqual(evaluateBy);
    const form = new FormData();
    for (const [name, value] of Object.entries({ run_id: "form-by-path", ...by })) form.append(name, value);
    form.append("files", new Blob([await picture(77)]), "a.jpg");
    const sent = await fetch(`${batches.loop.url}/v1/batch_extract_upload`, {
      ...{ method: "POST", body: form, headers: { "x-api-key": batches.loop.apiKey } },
    });
    expect(sent.status, await sent.text()).toBe(202);
    expect((await batches.row("form-by-path")).evaluateBy).toEqual(evaluateBy);
  });

  test("can be checked with its labels before it is made, also without pictures", async () => {
    const { gt_id } = bodyOf(await keep("dry", { content: [{ file: "a.jpg", total: "1" }, { total: "2" }] }));
    const contentType = "application/x-ndjson";
    const put = (name: string, body: string) =>
      Bucket.replace(batches.bucket, silent, `data/shared/${name}`, { body, contentType });
    await put("dry.jsonl", '{"file":"a.jpg","total":"1"}\n{"img":"b.jpg","total":"2"}\n');
    await put("wrong.jsonl", '{"file":"a.jpg","total":"1"}\n{"file":"b.jpg","total":1e999}\n');
    await put("broken.json", '[{"file":"a.jpg"');
    const runs = async () => {
      const { items } = (await batches.loop.call("/v1/runs?limit=200")).body as {
        items: { run_id: string }[];
      };
      return items.map(({ run_id }) => run_id);
    };
    const before = await runs();
    const dry = (json: object, key = batches.loop.apiKey) =>
      call("/v1/batch_extract", { key, json: { dry_run: true, ...json } });
    const checked = async (json: object, key?: string) => (await dry(json, key)).body;
    const refused = async (json: object, key?: string) => {
      const answer = await dry(json, key);
      const { message, param, details } = errorOf(answer);
      return [answer.status, param, message, details.reason];
    };
    const none = { dry_run: true, is_known: false, items: null, skipped: null, labels: null };
    expect(await checked({})).toEqual(none);
    const stored = { gt_id, name: "dry", records: 2 };
    expect(await checked({ gt_id }, debuggers)).toEqual({ ...none, labels: stored });
    expect(await checked({ gt_id, manifest: manifest(), run_id: "dry" }, debuggers)).toEqual({
      ...{ ...none, items: 1, labels: stored },
    });
    expect(await refused({ gt_id, gt_image_key: "img" }, debuggers)).toEqual([
      ...[400, "gt_image_key"],
      expect.stringContaining("no record has the member `img`, which names its picture: there are `file`"),
      "gt_image_key",
    ]);
    const of = (name: string) => ({ gt_path: `shared/${name}` });
    expect(await checked(of("dry.jsonl"))).toMatchObject({ labels: { gt_id: null, name: null, records: 2 } });
    expect(await refused(of("wrong.jsonl"))).toEqual([
      ...[400, "records.1.total"],
      "line 2: records.1.total: is a number that loses digits: write it as a text, as it is printed",
      "gt_bad_records",
    ]);
    expect((await refused(of("broken.json"))).slice(0, 2)).toEqual([400, "gt_path"]);
    expect((await refused({ images_dir: "shared/nowhere" })).slice(0, 2)).toEqual([400, "images_dir"]);
    expect((await refused({ manifest: [{ image_key: "shared/none.jpg" }] })).slice(0, 2)).toEqual([
      400,
      "image_key",
    ]);
    expect((await refused({ webhook_url: "https://127.0.0.1/" })).slice(0, 2)).toEqual([400, "webhook_url"]);
    expect((await refused({ run_id: "by-path" })).slice(0, 1)).toEqual([409]);
    expect((await refused({ task_id: "nosuch" })).slice(0, 2)).toEqual([400, "task_id"]);
    expect(await runs()).toEqual(before);
  });

  test("is refused if its labels do not exist, belong to another key, or are not allowed", async () => {
    const { gt_id } = bodyOf(await keep("theirs", { content: labels }));
    const refusal = async (json: object, key = debuggers) => {
      const answer = await call("/v1/batch_extract", { key, json: { manifest: manifest(), ...json } });
      return [answer.status, errorOf(answer).param, errorOf(answer).message];
    };
    const unknown = [400, "gt_id", "gt_id: there is no ground truth with this gt_id"];
    expect(await refusal({ gt_id: `gt_${"x".repeat(24)}` })).toEqual(unknown);
    expect(await refusal({ gt_id }, batches.loop.apiKey)).toEqual(unknown);
    expect(await refusal({ gt_id }, clients)).toEqual([
      403,
      "gt_id",
      "measuring a run needs the scope debug:run",
    ]);
    const both = await refusal({ gt_id, gt_path: "shared/gt.json" });
    expect(both).toEqual([400, "gt_path", "gt_path: only one of gt_id, gt_path can be given"]);
    expect((await refusal({ gt_image_key: "file" })).slice(0, 2)).toEqual([400, "gt_image_key"]);
    for (const gt_path of ["shared/none.json", "reads/gt.json"])
      expect((await refusal({ gt_path })).slice(0, 2)).toEqual([400, "gt_path"]);
  });
});

describe("ocrlty gt", () => {
  const cli = BatchCli.open();
  afterAll(() => cli.remove());
  const run = async (...args: string[]) => {
    const env = { OCRLTY_URL: batches.loop.url, OCRLTY_API_KEY: debuggers };
    const { status, stdout, stderr } = await cli.run(["gt", ...args], { env });
    expect(status, stderr).toBe(0);
    return stdout;
  };

  test("stores a file, shows the changes of a corrected one, returns it to be edited, and deletes it", async () => {
    const table = "file,totals.total,date\na.jpg,1.00,\nb.jpg,?,2026-11-30\n";
    cli.file("labels.csv", Buffer.from(table));
    await run("convert", "csv", "labels.csv", "--out", "labels.jsonl");
    const put = await run("put", "by-hand", "labels.jsonl");
    expect(put).toMatch(/^gt_\S{24} {2}by-hand: 2 records, sha256 [0-9a-f]{12}\n$/);
    expect(await run("put", "by-hand", "labels.jsonl")).toMatch(/\nunchanged: /);

    await run("get", "by-hand", "--out", "edit.json");
    const text = cli.read("edit.json");
    expect(JSON.parse(text)).toHaveLength(2);
    cli.file("edit.json", Buffer.from(text.replace('"1.00"', '"<b>1.01\\u001b[31m"')));
    const changed = await run("put", "by-hand", "edit.json");
    expect(changed).toContain("0 added, 0 removed, 1 changed, 1 the same\n  a.jpg\n    totals.total: ");
    // Control characters of a label are shown and have no effect on the terminal.
    expect(changed).not.toContain("\u001b");
    const listed = (await run("list", "--name", "by-hand", "--json")).trim().split("\n");
    expect(listed).toHaveLength(2);
    for (const line of listed) await run("delete", (JSON.parse(line) as { gt_id: string }).gt_id);
    expect(await run("list", "--name", "by-hand", "--json")).toBe("");
  });

  const refused = async (...args: string[]) => {
    const env = { OCRLTY_URL: batches.loop.url, OCRLTY_API_KEY: debuggers };
    const { status, stdout, stderr } = await cli.run(["gt", ...args], { env });
    expect(status, stdout).toBe(2);
    return { stdout, stderr };
  };

  test("reports every mistake in a file before anything is sent: record, picture, line and field", async () => {
    cli.file("wrong.json", '[{"file":"a.jpg","total":NaN}]');
    const { stdout } = await refused("put", "n", "wrong.json", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: "invalid_request", details: { reason: "gt_bad_records", issues: [{ line: 1 }] } },
    });
    const lines = Array.from({ length: 25 }, (_, i) => `{"file":"${i}\\u001b.jpg","tip":1e999}`);
    cli.file("many.jsonl", lines.join("\n"));
    const many = (await refused("put", "n", "many.jsonl")).stderr.split("\n");
    const digits = "is a number that loses digits: write it as a text, as it is printed";
    expect([many[0], many[1], many[20], many[21]]).toEqual([
      "error: 25 mistakes:",
      `  record 1 (0?.jpg), line 1: tip: ${digits}`,
      `  record 20 (19?.jpg), line 20: tip: ${digits}`,
      "  … and 5 more",
    ]);
    cli.file("two.jsonl", lines.slice(0, 2).join("\n"));
    expect((await refused("put", "n", "two.jsonl")).stderr).toBe(
      `error: record 1 (0?.jpg), line 1: tip: ${digits}; record 2 (1?.jpg), line 2: tip: ${digits}\n`,
    );
  });

  test("refuses a table, a member that no record has, and a name that has the form of an id", async () => {
    cli.file("c.csv", "file,total\na.jpg,1\n");
    expect((await refused("put", "c", "c.csv")).stderr).toBe(
      "error: c.csv is a table: convert it first (npm run ocrlty -- gt convert csv c.csv --out labels.jsonl)\n",
    );
    cli.file("ok.json", '[{"img":"a.jpg","total":"1"}]');
    const unnamed = await refused("put", "c", "ok.json", "--image-key", "imgs");
    expect(unnamed.stderr).toContain(
      "no record has the member `imgs`, which names its picture: did you mean `img`?",
    );
    const form = await refused("put", `gt_${"x".repeat(24)}`, "ok.json", "--image-key", "img");
    expect(form.stderr).toContain("name: has the form of a gt_id: choose another name");
    await run("put", "gt_november", "ok.json", "--image-key", "img");
    // Versions that differ only in `gt_image_key` are different versions.
    expect(await run("list", "--name", "gt_november")).toMatch(/ PICTURE KEY .*\n.* img +- /);
    expect(JSON.parse(await run("get", "gt_november", "--json"))).toMatchObject({ name: "gt_november" });
  });
});
