import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Answer } from "#test/support/loop";
import * as Pdf from "#test/support/pdf";
import { encrypted } from "#test/support/pdf-encryption";
import { errorOf, fields, formOf, issuesOf, type Rig, start } from "#test/support/source-loop";

/** The passwords of PDFs by every way in, end to end. */

let at: Rig;
beforeAll(async () => {
  at = await start();
});
afterAll(() => at?.close());

describe("the password of a PDF", () => {
  const password = "canary-sesame-4711";
  const parts = Pdf.partsOf([{ content: Pdf.lines(["Invoice 4711", "Total 12.00"]) }]);
  const pdf = Buffer.from(encrypted(parts, { method: "aes256", user: password }));
  const image_base64 = pdf.toString("base64");
  const told = (answer: Answer) => [answer.status, errorOf(answer).code, errorOf(answer).details.reason];
  const answers: Answer[] = [];
  const extract = async (json: Record<string, unknown>, headers = {}) => {
    const answer = await at.extract({ image_base64, ...json }, { headers });
    answers.push(answer);
    return answer;
  };

  test("opens it in JSON and in a form, and is no part of the call's identity", async () => {
    const read = await extract({ password, request_id: "sealed" });
    expect([read.status, read.body], read.text).toMatchObject([200, { result: fields }]);
    const form = await at.call("/v1/extract", await formOf({ file: pdf, password, request_id: "sealed" }));
    expect(form.headers.get("idempotent-replayed")).toBe("true");
    expect((await at.artifactOf("sealed")).artifact.input).toMatchObject({ kind: "pdf", pages: 1 });
    const { image_ref } = await at.upload(pdf, "application/pdf");
    const uploaded = await at.extract({ image_ref, password });
    expect([uploaded.status, uploaded.body]).toMatchObject([200, { result: fields }]);
  });

  test("is requested if it is missing, and reported if it is wrong, also directly after a call that had the right one", async () => {
    await extract({ password });
    const missing = await at.withoutModel(() => extract({ request_id: "tried" }));
    expect(told(missing)).toEqual([400, "invalid_image", "pdf_encrypted"]);
    const wrong = await at.withoutModel(() => extract({ password: `${password}x`, request_id: "tried" }));
    expect(told(wrong)).toEqual([400, "invalid_image", "pdf_wrong_password"]);
    expect(wrong.body).toMatchObject({ error: { param: "password" } });
    expect((await extract({ password, request_id: "tried" })).status).toBe(200);
  });

  test("is refused wherever work goes into a queue, with the reason and what to do", async () => {
    for (const prefer of ["respond-async", "wait=0"]) {
      const queued = await at.withoutModel(() => extract({ password }, { prefer }));
      expect(told(queued)).toEqual([400, "invalid_request", "password_not_queued"]);
      expect(issuesOf(queued)[0]).toMatchObject({
        path: "password",
        message: expect.stringMatching(/never stored.*save the PDF/),
      });
    }
    const { image_ref } = await at.upload(pdf, "application/pdf");
    const rerun = { source_run_id: "none", password };
    const refused = [
      [await at.call("/v1/batch_extract", { json: { manifest: [{ image_ref }], password } }), "password"],
      [await at.call("/v1/batch_extract", { json: { manifest: [{ image_ref, password }] } }), "password"],
      [await at.call("/v1/batch_extract_upload", await formOf({ files: pdf, password })), "password"],
      [await at.call("/v1/batch_extract_rerun", { json: rerun }), "password"],
    ] as const;
    for (const [answer, path] of refused) {
      answers.push(answer);
      expect([answer.status, errorOf(answer).code], answer.text).toEqual([400, "invalid_request"]);
      expect(issuesOf(answer)).toContainEqual(
        expect.objectContaining({ path, message: expect.stringMatching(/never stored/) }),
      );
    }
  });

  test("is refused in the address, and if it is not a valid password", async () => {
    const query = await at.call(`/v1/extract?password=${password}`, {
      method: "POST",
      body: new Uint8Array(pdf),
      headers: { "content-type": "application/pdf" },
    });
    answers.push(query);
    expect(issuesOf(query)).toEqual([
      { path: "password", message: expect.stringMatching(/in JSON or a form, not in the address/) },
    ]);
    for (const given of ["", `${password}\0`, password.repeat(50), 4711, [password]]) {
      const refused = await extract({ password: given });
      expect([refused.status, issuesOf(refused)[0]?.path]).toEqual([400, "password"]);
    }
    const broken = await at.call("/v1/extract", {
      method: "POST",
      body: `{"password": "${password}", `,
      headers: { "content-type": "application/json" },
    });
    answers.push(broken);
    expect(broken.status).toBe(400);
  });

  test("is not in answers, logs, the bucket, the database or the queues, in any form that can be searched for", async () => {
    expect(answers.length).toBeGreaterThan(15);
    const secrets = [
      password,
      password.repeat(2),
      Buffer.from(password).toString("base64").slice(0, -4),
      Buffer.from(password).toString("hex"),
      encodeURIComponent(password),
    ];
    const stored = readdirSync(at.loop.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    // The database, its log, objects of the bucket, queues.
    expect(stored.some((path) => /\.db(-wal)?$/.test(path))).toBe(true);
    const texts = [
      ...answers.map(({ text }) => text),
      at.loop.lines.join("\n"),
      ...stored.map((path) => readFileSync(path, "latin1")),
    ];
    expect(texts.some((text) => text.includes("sealed"))).toBe(true);
    for (const text of texts) for (const secret of secrets) expect(text.includes(secret)).toBe(false);
  });
});
