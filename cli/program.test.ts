import * as fs from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import { answer, ownError, type Rig, sent, start } from "./program-for-tests.ts";

let rig: Rig;
beforeEach(() => {
  rig = start();
});
afterEach(() => rig.close());

describe("extract", () => {
  it("prints the answer of one file as JSON, and the artifact's place on stderr", async () => {
    rig.file("ä b.jpg");
    const { seen, env } = await rig.server({ body: answer("r-1") });
    const { status, stdout, stderr } = await rig.ocrlty(
      ["extract", "ä b.jpg", "--task", "receipt_v1", "--request-id", "r-1"],
      { env },
    );
    expect(status).toBe(exit.ok);
    expect(JSON.parse(stdout)).toEqual(answer("r-1"));
    expect(stderr).toContain("artifact: extracts/r-1.json\n");
    expect(sent(seen[0])).toEqual({
      task_id: "receipt_v1",
      request_id: "r-1",
      image_base64: btoa("picture"),
    });
    expect(seen[0]?.headers.authorization).toBe("Bearer key-1");
  });

  it("prints one line per file for several, continues after a failed one, and exits with 1", async () => {
    for (const name of ["a.jpg", "b.jpg", "c.jpg"]) rig.file(name);
    const { env } = await rig.server({ body: answer("1") }, ownError(415, "unsupported_media_type"), {
      body: answer("3"),
    });
    const { status, stdout, stderr } = await rig.ocrlty(
      ["extract", "a.jpg", "b.jpg", "missing.jpg", "c.jpg"],
      {
        env,
      },
    );
    expect(status).toBe(exit.items);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { file: "a.jpg", ...answer("1") },
      {
        file: "b.jpg",
        error: { code: "unsupported_media_type", message: "no", request_id: "x", details: {} },
      },
      {
        file: "missing.jpg",
        error: { code: "unreadable_file", message: "does not exist", request_id: null, details: {} },
      },
      { file: "c.jpg", ...answer("3") },
    ]);
    expect(stderr).toContain("error: missing.jpg does not exist\n");
  });

  it("stops at a refused key, because the next file would get the same error", async () => {
    for (const name of ["a.jpg", "b.jpg"]) rig.file(name);
    const { seen, env } = await rig.server(ownError(401, "unauthorized"));
    const { status, stdout, stderr } = await rig.ocrlty(["extract", "a.jpg", "b.jpg"], { env });
    expect({ status, stdout, calls: seen.length }).toEqual({ status: exit.failed, stdout: "", calls: 1 });
    expect(stderr).toBe(
      "error: no; the key from OCRLTY_API_KEY is wrong, revoked or expired (unauthorized)\n",
    );
  });

  it("expands patterns that the shell did not expand, and accepts names that begin with a dash or contain brackets", async () => {
    for (const name of ["p/b.jpg", "p/a.jpg", "p/no.txt", "-dash.jpg", "x[1].jpg"]) rig.file(name, name);
    const { seen, env } = await rig.server({ body: answer("1") });
    const { status } = await rig.ocrlty(["extract", "--", "p/*.jpg", "p/a.jpg", "-dash.jpg", "x[1].jpg"], {
      env,
    });
    expect(status).toBe(exit.ok);
    expect(seen.map((call) => atob(sent(call).image_base64))).toEqual([
      "p/a.jpg",
      "p/b.jpg",
      "-dash.jpg",
      "x[1].jpg",
    ]);
  });

  it("reads stdin for a dash", async () => {
    const { seen, env } = await rig.server({ body: answer("1") });
    await rig.ocrlty(["extract", "-"], { env, stdin: Buffer.from("from a pipe") });
    expect(atob(sent(seen[0]).image_base64)).toBe("from a pipe");
  });

  it("scales a picture over 3.5 MB down, upright, with one line on stderr; a small one is sent as it is", async () => {
    const noise = { type: "gaussian", mean: 128, sigma: 60 } as const;
    const large = await sharp({
      create: { width: 3000, height: 2000, channels: 3, background: "white", noise },
    })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 98 })
      .toBuffer();
    expect(large.length).toBeGreaterThan(3.5e6);
    rig.file("large.jpg", large);
    const { seen, env } = await rig.server({ body: answer("1") });
    const { status, stderr } = await rig.ocrlty(["extract", "large.jpg"], { env });
    expect(status).toBe(exit.ok);
    expect(stderr).toMatch(/^large\.jpg: \d+\.\d MB, sent as \d\.\d MB \(\d+×\d+\)\n/);
    const bytes = Buffer.from(sent(seen[0]).image_base64, "base64");
    expect(bytes.length).toBeLessThanOrEqual(3.5e6);
    const { width, height, orientation } = await sharp(bytes).metadata();
    expect(height).toBeGreaterThan(width);
    expect(orientation ?? 1).toBe(1);
  });

  it.each([
    ["a missing file", ["extract", "gone.jpg"], "error: gone.jpg does not exist\n"],
    [
      "a folder",
      ["extract", "."],
      'error: . is a folder: npm run ocrlty -- batch FOLDER reads all of it, "folder/*.jpg" some\n',
    ],
    ["an empty file", ["extract", "empty.jpg"], "error: empty.jpg is empty\n"],
    ["a pattern without a match", ["extract", "*.webp"], "error: no file matches *.webp\n"],
    ["no file", ["extract"], "error: missing required argument 'file'\n"],
    ["an unknown option", ["extract", "--wrong", "x"], "error: unknown option '--wrong'\n"],
    [
      "one id for several files",
      ["extract", "--request-id", "x", "full.jpg", "gone.jpg"],
      "error: --request-id goes with one file\n",
    ],
  ])("%s gives one line and exit status 2, and no loop is started", async (_, args, message) => {
    rig.file("empty.jpg", "");
    rig.file("full.jpg");
    expect(await rig.ocrlty(args)).toEqual({ status: exit.failed, stdout: "", stderr: message });
    expect(fs.existsSync(join(rig.dir, "home", "lock.db"))).toBe(false);
  });

  it("a large file that is not a picture does not stop the others", async () => {
    rig.file("large.bin", Buffer.alloc(4_000_000, "x"));
    const { seen, env } = await rig.server({ body: answer("1") });
    const { status, stderr } = await rig.ocrlty(["extract", "large.bin"], { env });
    expect({ status, calls: seen.length }).toEqual({ status: exit.items, calls: 0 });
    expect(stderr).toBe("error: large.bin has 4.0 MB and is not a picture that can be made smaller\n");
  });

  it("the folder's own key is never sent to a server that was named", async () => {
    rig.file("a.jpg");
    rig.file("home/api-key", "secret-of-the-folder\n");
    const { seen, env } = await rig.server(ownError(401, "unauthorized"));
    const { status } = await rig.ocrlty(["extract", "a.jpg"], { env: { OCRLTY_URL: env.OCRLTY_URL ?? "" } });
    expect(status).toBe(exit.failed);
    expect(JSON.stringify(seen)).not.toContain("secret-of-the-folder");
  });

  it("uses the loop that answers in the folder, with the folder's key", async () => {
    rig.file("a.jpg");
    const { seen, env } = await rig.server({ body: { ok: true, version: "1" } }, { body: answer("1") });
    rig.file("home/api-key", "secret-of-the-folder\n");
    rig.file("home/url", `${env.OCRLTY_URL}\n`);
    expect((await rig.ocrlty(["extract", "a.jpg"])).status).toBe(exit.ok);
    expect(seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ["/health", undefined],
      ["/v1/extract", "Bearer secret-of-the-folder"],
    ]);
  });

  it("Ctrl-C ends a call that hangs with 130", async () => {
    rig.file("a.jpg");
    const abort = new AbortController();
    const { env } = await rig.server({ handle: () => abort.abort() });
    expect((await rig.ocrlty(["extract", "a.jpg"], { env, signal: abort.signal })).status).toBe(
      exit.interrupted,
    );
  });

  it("--get prints what is stored; an id that is not there is 1", async () => {
    const { seen, env } = await rig.server({ body: answer("r-1") }, ownError(404, "not_found"));
    expect(JSON.parse((await rig.ocrlty(["extract", "--get", "r-1"], { env })).stdout)).toEqual(
      answer("r-1"),
    );
    expect(await rig.ocrlty(["extract", "--get", "a/b"], { env })).toMatchObject({
      status: exit.items,
      stderr: "error: a/b: no (not_found)\n",
    });
    expect(seen.map(({ path }) => path)).toEqual(["/v1/extracts/r-1", "/v1/extracts/a%2Fb"]);
  });
});

describe("the program", () => {
  it("help is an answer: stdout, exit status 0", async () => {
    for (const args of [
      ["--help"],
      ["extract", "--help"],
      ["keys", "create-key", "--help"],
      ["smoke", "--help"],
    ]) {
      const { status, stdout, stderr } = await rig.ocrlty(args);
      expect({ status, stderr }).toEqual({ status: exit.ok, stderr: "" });
      expect(stdout).toMatch(/^Usage: ocrlty/);
    }
  });

  it("an unknown command is exit status 2", async () => {
    expect(await rig.ocrlty(["nonsense"])).toMatchObject({ status: exit.failed, stdout: "" });
  });
});
