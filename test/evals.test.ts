/** Labels, a run that is evaluated by them, and its evaluation, over HTTP against the whole stack. */
import { afterAll, expect, test, vi } from "vitest";
import { open } from "#test/support/batch-cli";
import { useLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

let model: ModelServer.ModelServer;
const loop = useLoop(async () => {
  model = await ModelServer.start({ model: "scripted" });
  return { httpInstances: 4, env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } };
});
afterAll(() => model?.close());

interface Eval {
  eval_id: string;
  status: string;
  poll_url: string;
}
const json = (path: string, options: Parameters<ReturnType<typeof loop>["call"]>[1] = {}) =>
  loop().call(path, options) as Promise<{ status: number; headers: Headers; body: Record<string, unknown> }>;

/** A batch of two pictures in one form, which is evaluated by these labels. */
async function upload(runId: string, gtId: string) {
  const form = new FormData();
  form.set("run_id", runId);
  form.set("gt_id", gtId);
  form.set("persist_inputs", "true");
  for (const [i, name] of ["a.png", "b.png"].entries())
    form.append(
      "files",
      new Blob([new Uint8Array(await picture(i + 1, "png"))], { type: "image/png" }),
      name,
    );
  const request = new Request("http://form", { method: "POST", body: form });
  return json("/v1/batch_extract_upload", {
    method: "POST",
    headers: { "content-type": request.headers.get("content-type") ?? "" },
    body: new Uint8Array(await request.arrayBuffer()),
  });
}

/** Both reports, by a signed address and by a redirect. @returns the status of the signed one from then on. */
async function expectReports(own: Eval, ordered: Eval) {
  const signed = await json(`${ordered.poll_url}/report?as=url`);
  expect(signed).toMatchObject({ status: 200, body: { expires_at: expect.any(String) } });
  const report = async () => (await fetch(String(signed.body.url))).status;
  const page = await fetch(String(signed.body.url));
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(page.headers.get("content-disposition")).toContain(`${ordered.eval_id}.html`);
  expect(await page.text()).toContain("Evaluation of measured");
  const sent = await loop().call(`${own.poll_url}/report`);
  expect(sent.status).toBe(303);
  expect(sent.headers.get("location")).toContain(`${own.eval_id}.report.html`);
  // The run kept its inputs, and of a.png the tax is wrong.
  const whole = await (await fetch(sent.headers.get("location") ?? "")).text();
  expect(whole).toMatch(/<img alt="The picture of a\.png" src="data:image\/jpeg;base64,[\w+/]{1000,}/);
  const plain = await loop().call(`${own.poll_url}/report?pictures=0`);
  expect(await (await fetch(plain.headers.get("location") ?? "")).text()).not.toContain("<img");
  return report;
}

/** Figures by field, and a line for each document. */
async function expectFigures({ poll_url }: Eval): Promise<void> {
  const shown = await json(poll_url);
  expect(shown.status).toBe(200);
  const { fields, samples } = shown.body as {
    fields: { path: string; accuracy: number | null; exact: { accuracy: number | null } }[];
    samples: { url: string }[];
  };
  const subtotal = fields.find(({ path }) => path === "subtotal");
  expect([subtotal?.accuracy, subtotal?.exact.accuracy]).toEqual([1, 0.5]);
  const lines = (await (await fetch(samples[0]?.url ?? "")).text()).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).file)).toEqual(["a.png", "b.png"]);
}

async function expectDiff(own: Eval, ordered: Eval): Promise<void> {
  // Its second labels cover only one of the two documents, and correct its tax. This does not change the answer.
  const diff = await json(`${own.poll_url}/diff/${ordered.eval_id}`);
  expect(diff).toMatchObject({ status: 200, body: { only_in_first: 1, differs: ["labels"], documents: 1 } });
  expect(diff.body).toMatchObject({ changes: [], label_differences: { relabeled: 1 } });
  const missing = await json(`${own.poll_url}/diff/eval_${"0".repeat(24)}`);
  expect(missing).toMatchObject({ status: 404, body: { error: { param: "other_id" } } });
}

test("a batch that names labels has the figures in its run; an evaluation with other labels is one call", async () => {
  model.respond = (_request, n) => ModelServer.json({ total: `${n}.00`, subtotal: "10.00", tax: "2.00" });
  const gt = await json("/v1/ground_truths", {
    method: "POST",
    json: {
      name: "two",
      content: [
        { file: "a.png", subtotal: "10.00", tax: "3.00" },
        { file: "b.png", subtotal: "10,00" },
      ],
    },
  });
  expect(gt.status).toBe(201);
  const begun = await upload("measured", String(gt.body.gt_id));
  expect(begun.status).toBe(202);

  const run = await vi.waitFor(
    async () => {
      const { body } = await json("/v1/runs/measured");
      expect(body.eval).toMatchObject({ status: "succeeded" });
      return body as { eval: Eval & { accuracy: number } };
    },
    { timeout: 20_000, interval: 100 },
  );
  // Three labeled values, of which the tax is wrong.
  expect(run.eval).toMatchObject({ documents: 2, gt_name: "two" });
  expect(run.eval.accuracy).toBeCloseTo(2 / 3, 12);

  await expectFigures(run.eval);

  const other = await json("/v1/ground_truths", {
    method: "POST",
    json: { name: "two", content: [{ file: "a.png", tax: "2.00" }] },
  });
  const order = {
    method: "POST",
    headers: { "idempotency-key": "again" },
    json: { run_id: "measured", gt_id: other.body.gt_id },
  };
  const ordered = (await json("/v1/evals", order)).body as unknown as Eval;
  expect(ordered).toMatchObject({ status: "running", items: { total: 2 } });
  expect((await json("/v1/evals", order)).body.eval_id).toBe(ordered.eval_id);
  await vi.waitFor(async () => expect((await json(ordered.poll_url)).body.status).toBe("succeeded"), {
    timeout: 10_000,
    interval: 100,
  });
  const list = (await json("/v1/evals?run_id=measured")).body as { items: Eval[] };
  expect(list.items.map(({ eval_id }) => eval_id)).toEqual([ordered.eval_id, run.eval.eval_id]);

  const report = await expectReports(run.eval, ordered);

  await expectDiff(run.eval, ordered);
  expect((await json(ordered.poll_url, { method: "DELETE" })).body).toEqual({ deleted: { evals: 1 } });
  expect((await json(ordered.poll_url)).status).toBe(404);
  expect(await report()).toBe(404);
}, 60_000);

test("ocrlty eval prints the figures, writes JUnit and the worst receipts, and exits with 1 below a bar", async () => {
  const cli = open();
  const env = { OCRLTY_URL: loop().url, OCRLTY_API_KEY: loop().apiKey };
  try {
    cli.file(
      "labels.jsonl",
      '{"file":"a.png","subtotal":"10.00","tax":"3.00"}\n{"file":"b.png","subtotal":"10,00"}\n',
    );
    const args = ["eval", "measured", "--gt", "labels.jsonl"];
    const bars = ["--fail-under", "subtotal=1", "--fail-under", "tax=0.5"];
    const { status, stdout, stderr } = await cli.run(
      [...args, ...bars, "--junit", "e.xml", "--worst", "w.csv", "--report", "r.html"],
      { env },
    );
    expect([status, stderr.match(/^(reached|MISSED): .*$/gm)]).toEqual([
      1,
      [
        "reached: subtotal accuracy 100.0 % of 2 values, at least 100.0 %",
        "MISSED: tax accuracy 0.0 % of 1 value, at least 50.0 %",
      ],
    ]);
    expect(stdout).toMatch(/^subtotal +100\.0 % .* 50\.0 %/m);
    expect(stdout).toContain("documents right: 1 of 2");
    expect(cli.read("e.xml")).toContain('<testsuites tests="2" failures="1">');
    expect(cli.read("w.csv").split("\n")[1]).toMatch(
      /^1,2,0,a\.png,1,,measured~0,extracts\/[\d-]+\/local-admin\/measured~0\.json,tax$/,
    );
    expect(cli.read("r.html")).toContain("data:image/jpeg;base64,");
    const plain = ["--report", "plain.html", "--no-pictures"];
    const again = await cli.run(["eval", "measured", "--gt", "labels.jsonl", "--json", ...plain], { env });
    expect(cli.read("plain.html")).not.toContain("data:image/jpeg");
    expect(again.status).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ gt_name: "labels.jsonl", bars: [] });
    // The labels that it reads are not overwritten, and the figures are printed even if a file cannot be written.
    const own = await cli.run([...args, "--worst", "labels.jsonl", "--force"], { env });
    expect([own.status, own.stderr, own.stdout]).toEqual([
      ...[2, expect.stringContaining("labels.jsonl is a file that this command reads"), ""],
    ]);
    expect(cli.read("labels.jsonl")).toContain('"tax":"3.00"');
    const late = await cli.run([...args, "--fail-under", "tax=0", "--worst", "late.csv"], {
      env,
      onSay: (line) => {
        if (line.startsWith("reached")) cli.file("late.csv", "by hand");
      },
    });
    expect([late.status, late.stdout]).toEqual([2, expect.stringMatching(/^subtotal +100\.0 %/m)]);
    expect([late.stderr, cli.read("late.csv")]).toEqual([
      ...[expect.stringContaining("late.csv exists"), "by hand"],
    ]);
    const wrong = await cli.run([...args, "--fail-under", "sum=1"], { env });
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('there is no field "sum"; there are micro'),
    ]);
  } finally {
    cli.remove();
  }
});

test("deleting the run deletes its reports and the pictures in them", async () => {
  const { items } = (await json("/v1/evals?run_id=measured")).body as { items: Eval[] };
  const signed = await json(`/v1/evals/${items.at(-1)?.eval_id}/report?as=url`);
  expect((await fetch(String(signed.body.url))).status).toBe(200);
  expect((await json("/v1/runs/measured", { method: "DELETE" })).status).toBe(200);
  expect((await fetch(String(signed.body.url))).status).toBe(404);
});

test("an impossible evaluation is refused with the reason", async () => {
  const refusals = [
    [{ run_id: "nowhere", gt_id: "gt_none" }, 404, "not_found"],
    [{ run_id: "measured" }, 400, "invalid_request"],
    [{ run_id: "measured", gt_id: "x", str_mode: "loose" }, 400, "invalid_request"],
  ] as const;
  for (const [body, status, code] of refusals)
    expect(await json("/v1/evals", { method: "POST", json: body }), JSON.stringify(body)).toMatchObject({
      status,
      body: { error: { code } },
    });
});
