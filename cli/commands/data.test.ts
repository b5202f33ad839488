import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import { pictureOf } from "#test/support/batch-cli";
import { type Rig, start } from "#test/support/batch-rig";

let rig: Rig;
let cli: Rig["cli"];
let api: Rig["api"];
beforeEach(async () => {
  rig = await start();
  ({ cli, api } = rig);
});
afterEach(() => rig.close());

describe("data put", () => {
  const put = (...args: string[]) => cli.run(["data", "put", ...args], { env: rig.env() });

  it("uploads below the name, and reports the files that are there already and the images_dir to use", async () => {
    rig.pictures("a.jpg", "sub/b.png");
    cli.file("in/notes.txt", "text");
    const first = await put("in", "--as", "november", "--json");
    expect(JSON.parse(first.stdout)).toEqual({
      images_dir: "key-1/november",
      files: 2,
      uploaded: 2,
      already_there: 0,
      skipped: 1,
      left_out: {
        count: 1,
        by_reason: { no_picture: 1 },
        first: [{ file: "notes.txt", reason: "no_picture" }],
        documents: 0,
      },
    });
    expect(first.status).toBe(exit.ok);
    expect(String(api.uploads.get(encodeURIComponent("november/sub/b.png")))).toBe(pictureOf("sub/b.png"));
    rig.pictures("c.tiff");
    const second = await put("in", "--as", "november");
    expect(second.stdout).toBe('1 uploaded, 2 there already\n"images_dir": "key-1/november"\n');
    expect(second.stderr).toContain("files whose first bytes are not a picture's (1): notes.txt");
    expect(JSON.parse((await put("in", "--shared", "--json")).stdout)).toMatchObject({
      images_dir: "shared/in",
    });
  });

  it("leaves out links that lead out of the folder and files that are not pictures, and exits with 1", async () => {
    rig.pictures("a.jpg");
    cli.file("in/b.jpg", "text");
    fs.symlinkSync(cli.file("secret.jpg"), join(cli.dir, "in/link.jpg"));
    const { status, stdout, stderr } = await put("in", "--json");
    expect({ status, ...JSON.parse(stdout) }).toMatchObject({ status: exit.items, uploaded: 1, skipped: 2 });
    expect(stderr).toContain("links that lead out of the folder, or nowhere (1): link.jpg\n");
    expect(stderr).toContain("named like a picture, but the first bytes are not one's (1): b.jpg");
    expect([...api.uploads.keys()]).toEqual([encodeURIComponent("in/a.jpg")]);
  });

  it.each<[string, string[], RegExp]>([
    ["a file", ["in/a.jpg"], /is not a folder/],
    ["a name that climbs", ["in", "--as", "../x"], /'\.\.' are not allowed/],
    ["an absolute name", ["in", "--as", "/x"], /an absolute path is refused/],
  ])("%s is refused before anything is sent", async (_, args, message) => {
    rig.pictures("a.jpg");
    const { status, stderr } = await put(...args);
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(message);
    expect(api.seen).toEqual([]);
  });
});
