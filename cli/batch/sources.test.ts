import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Cli, open } from "#test/support/batch-cli";
import * as Folder from "./folder.ts";
import * as Manifest from "./manifest.ts";
import * as State from "./state.ts";

let cli: Cli;
beforeEach(() => {
  cli = open();
  said.length = 0;
});
afterEach(() => cli.remove());

const said: string[] = [];
const look = (limit?: number) =>
  Folder.collect(join(cli.dir, "in"), { label: "in", limit, say: (line) => said.push(line) });
const collect = (limit?: number) => look(limit).entries;
const read = (text: string | Buffer, limit?: number) =>
  Manifest.read(cli.file("m.jsonl", text), { label: "m.jsonl", limit });
const thrown = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing was thrown";
};

describe("a folder", () => {
  it("gives its pictures in natural order, subfolders included, and no other files", () => {
    const names = ["page 10.jpg", "page 2.JPG", "b/1.png", "b/x.tiff", "a.webp", "ä.gif", "a.jpeg", "c.tif"];
    // A file whose name has nothing before the extension.
    const odd = ["d.jfif", "e.jpe", "f.HEIC", "g", "h.txt"];
    const others = [".hidden.jpg", ".git/x.jpg", "._page 2.JPG", "__MACOSX/x.jpg"];
    for (const name of [...names, ...odd, ...others]) cli.file(`in/${name}`);
    for (const name of ["notes.txt", "x.psd", "jpg", "Thumbs.db"]) cli.file(`in/${name}`, "text");
    fs.symlinkSync(join(cli.dir, "in/a.jpeg"), join(cli.dir, "in/link.jpg"));
    fs.symlinkSync(join(cli.dir, "in"), join(cli.dir, "in/circle"));
    const expected = [
      "ä.gif",
      "a.jpeg",
      "a.webp",
      "b/1.png",
      "b/x.tiff",
      "c.tif",
      ...odd,
      "link.jpg",
      "page 2.JPG",
      "page 10.jpg",
    ];
    expect(collect().map(({ line }) => line.file)).toEqual(expected);
    expect(look().leftOut).toMatchObject({
      count: 9,
      by_reason: { hidden: 2, system: 3, no_picture: 2, not_supported: 1, link_to_folder: 1 },
      documents: 2,
    });
    said.length = 0;
    expect(collect(2).map(({ line }) => line.file)).toEqual(expected.slice(0, 2));
    expect(said.at(-1)).toBe("15 more files of in were not looked at (--limit)");
  });

  it.each<[string, string, boolean]>([
    ["x.psd", "8BPS", true],
    ["x", "8BPS", true],
    ["scan.PSD", "anything", true],
    ["x.jxl", "\xff\x0a", true],
    ["photo", "\0\0\0\x1cftypcrx ", true],
    ["x.bmp", "BM1234\0\0\0\0", true],
    ["x.jpg", "<!doctype html>", true],
    ["x.png", "", true],
    [".x.jpg", "\xff\xd8\xff", true],
    [".x", "\x89PNG\r\n\x1a\n", true],
    ["notes.txt", "text", false],
    ["movie.mp4", "\0\0\0\x18ftypisom", false],
    [".gitignore", "x", false],
    ["empty", "", false],
    [".DS_Store", "\0\0\0\x01Bud1", false],
    ["._x.jpg", "\0\x05\x16\x07", false],
    ["Thumbs.db", "\xd0\xcf\x11\xe0", false],
    ["desktop.ini", "x", false],
  ])("counts %j, with the content %j; is a document: %s", (name, content, isDocument) => {
    cli.file("in/a.jpg");
    cli.file(`in/${name}`, Buffer.from(content, "latin1"));
    const { entries, leftOut } = look();
    expect(entries).toHaveLength(1);
    expect(leftOut).toMatchObject({ count: 1, documents: isDocument ? 1 : 0, first: [{ file: name }] });
    expect(said[0]).toContain("1 left out of in:");
    expect(said[0]).toContain(name);
  });

  it("leaves out links that lead out of it, and says how many", () => {
    cli.file("in/a.jpg");
    cli.file("secret.jpg");
    cli.file("in-too/b.jpg");
    for (const [name, target] of [
      ["in/out.jpg", "secret.jpg"],
      ["in/sub.jpg", "in-too/b.jpg"],
      ["in/gone.jpg", "nowhere.jpg"],
    ] as const)
      fs.symlinkSync(join(cli.dir, target), join(cli.dir, name));
    fs.symlinkSync("../secret.jpg", join(cli.dir, "in/up.jpg"));
    // A loop of links inside the folder is allowed, and so is a folder that is itself reached by a link.
    fs.symlinkSync("../in/a.jpg", join(cli.dir, "in/round.jpg"));
    fs.symlinkSync(join(cli.dir, "in"), join(cli.dir, "by link"));
    expect(look().leftOut).toMatchObject({ count: 4, by_reason: { link_out: 4 }, documents: 4 });
    expect(collect().map(({ line }) => line.file)).toEqual(["a.jpg", "round.jpg"]);
    expect(said[0]).toMatch(/^4 left out of in:\n {2}links that lead out of the folder, or nowhere \(4\): /);
    const through = Folder.collect(join(cli.dir, "by link"), { label: "x", say: () => {} });
    expect(through.entries).toHaveLength(2);
  });

  it("leaves out and names files whose bytes are not a picture; they do not count for --limit", () => {
    const heads = ["\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "II*\0", "MM\0*", "RIFF1234WEBP"];
    for (const [i, head] of heads.entries()) cli.file(`in/good ${i}.jpg`, Buffer.from(head, "latin1"));
    cli.file("in/a page\u202e.jpg", "<!doctype html>");
    cli.file("in/b.png", "\x89PN");
    cli.file("in/c.webp", "RIFF1234WAVE");
    expect(look(2)).toMatchObject({
      entries: [{ line: { file: "good 0.jpg" } }, { line: { file: "good 1.jpg" } }],
      leftOut: { count: 3, by_reason: { not_what_it_is_called: 3 } },
    });
    expect(said[0]).toBe(
      "3 left out of in:\n  named like a picture, but the first bytes are not one's (3): a page\\u{202e}.jpg, b.png, c.webp",
    );
    expect(collect()).toHaveLength(heads.length);
  });

  it("without pictures is an error that names the supported types", () => {
    cli.file("in/notes.txt", "text");
    expect(thrown(collect)).toBe(
      "there are no pictures in in (JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF and PDF)",
    );
    expect(said).toEqual(["1 left out of in:\n  files whose first bytes are not a picture's (1): notes.txt"]);
  });

  it("names every picture that cannot be uploaded before anything is sent", () => {
    cli.file("in/good.jpg");
    cli.file("in/bad\u0001.jpg");
    cli.file("in/huge");
    fs.truncateSync(join(cli.dir, "in/huge"), 21 * 1024 * 1024);
    const message = thrown(collect);
    expect(message).toMatch(/^nothing was sent: of 3 pictures 2 cannot be uploaded:\n {2}bad/);
    expect(message).toContain("huge has 22.0 MB: more than an upload may have");
  });
});

describe("a manifest", () => {
  it("takes local paths relative to its own folder and passes everything else through", () => {
    cli.file("sub/a.jpg");
    cli.file("b.png");
    const lines = [
      { path: "sub/a.jpg", custom_id: "1", tags: { store: "12" } },
      { path: "./b.png" },
      { path: "b.png", file: "again.png" },
      { image_ref: "upload_x", custom_id: "2" },
      { image_key: "shared/x.jpg", file: "x", tags: { store: "13" } },
      { image_url: "https://example.com/x.jpg" },
    ];
    const text = `\uFEFF${lines.map((line) => JSON.stringify(line)).join("\r\n")}\n\n`;
    const entries = read(text);
    expect(entries.map(({ line }) => line)).toEqual([
      { file: "sub/a.jpg", custom_id: "1", tags: { store: "12" } },
      { file: "b.png" },
      { file: "again.png" },
      ...lines.slice(3),
    ]);
    expect(entries.map(({ path }) => path)).toEqual([
      join(cli.dir, "sub", "a.jpg"),
      join(cli.dir, "b.png"),
      join(cli.dir, "b.png"),
      undefined,
      undefined,
      undefined,
    ]);
    expect(read(text, 2)).toHaveLength(2);
  });

  it("has all of its mistakes named with their line numbers", () => {
    cli.file("a.jpg");
    cli.file("notes.txt", "text");
    cli.file("folder.jpg/x", "");
    const message = thrown(() =>
      read(
        Buffer.concat([
          Buffer.from(
            [
              '{"path":"a.jpg","custom_id":"1"}',
              "{not json",
              "[1]",
              "{}",
              '{"path":"a.jpg","image_ref":"x"}',
              '{"path":"gone.jpg"}',
              '{"path":"notes.txt"}',
              '{"path":"folder.jpg"}',
              '{"path":"a.jpg","file":"a2","custom_id":"1"}',
              '{"image_ref":"x","colour":"red"}',
              '{"image_ref":"x","custom_id":"bad\\u0000id"}',
              '{"path":"a.jpg","file":""}',
              '{"path":"a.jpg","file":"a3","tags":{"a b":"1"}}',
              '{"image_key":"shared/x","tags":{"__proto__":"1"}}',
              `{"image_ref":"${"x".repeat(70_000)}"}`,
              "",
            ].join("\n"),
          ),
          Buffer.from([0x22, 0xff, 0x22]),
        ]),
      ),
    );
    expect(message.split("\n  ")).toEqual([
      "nothing was sent: m.jsonl has 15 mistakes:",
      "line 2: is not valid JSON at column 2: names have double quotes",
      'line 3: is not an object such as {"path":"a.jpg"}',
      "line 4: needs exactly one of path, image_ref, image_key, image_url",
      "line 5: needs exactly one of path, image_ref, image_key, image_url",
      "line 6: gone.jpg does not exist",
      "line 7: notes.txt is text (read are JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF and PDF)",
      "line 8: folder.jpg is not a file",
      "line 9: custom_id is the same as in line 1",
      expect.stringMatching(/^line 10: .*colour/),
      expect.stringMatching(/^line 11: custom_id: control characters/),
      expect.stringMatching(/^line 12: file: /),
      expect.stringMatching(
        /^line 13: tags\.\(unprintable\): has a name that is not allowed: it must be 1 to 40/,
      ),
      "line 14: tags.__proto__: has a name that is not allowed",
      "line 15: has 70016 bytes, at most 65536 are allowed",
      "line 16: is not UTF-8 (at byte 2): save the file as UTF-8",
    ]);
  });

  it("with too many mistakes lists the first and counts the rest", () => {
    const message = thrown(() => read("x\n".repeat(50)));
    expect(message.split("\n")).toHaveLength(22);
    expect(message).toMatch(
      /has 50 mistakes:[\s\S]*line 20: is not valid JSON at column 1: no JSON value begins so\n {2}… and 30 more$/,
    );
  });

  it("that is empty, or longer than a run, is refused", () => {
    expect(thrown(() => read("\n\n"))).toBe("m.jsonl has no lines");
    const line = '{"image_ref":"x"}\n';
    expect(thrown(() => read(line.repeat(100_001)))).toContain("a run has at most 100000");
    expect(read(line.repeat(100_001), 5)).toHaveLength(5);
  });
});

describe("the state", () => {
  const env = () => ({ OCRLTY_HOME: join(cli.dir, "home") });
  const state = (): State.State => ({
    version: 1,
    run_id: "run-1",
    server: null,
    source: "in",
    options: { task_id: "receipt_v1" },
    out: null,
    table: {},
    fail_under: [],
    partial: null,
    sent: false,
    skipped: 1,
    left_out: { count: 1, by_reason: { hidden: 1 }, first: [{ file: ".x", reason: "hidden" }], documents: 0 },
    manifest: null,
    entries: [
      { line: { file: "a.jpg" }, path: "/in/a.jpg" },
      { line: { file: "b.jpg", image_ref: "ref-1" }, path: "/in/b.jpg", uploadedAt: 1 },
    ],
  });

  it("is read as it was saved, is replaced in one step, and is deleted", () => {
    expect(State.load(env(), "run-1")).toBeUndefined();
    State.save(env(), state());
    expect(State.load(env(), "run-1")).toEqual(state());
    State.save(env(), { ...state(), sent: true });
    expect(State.load(env(), "run-1")?.sent).toBe(true);
    expect(fs.readdirSync(join(cli.dir, "home/batches"))).toEqual(["run-1.json"]);
    State.remove(env(), "run-1");
    expect(State.exists(env(), "run-1")).toBe(false);
  });

  it.each([
    ["half a file", '{"version":1,"run_id'],
    ["another version", '{"version":2}'],
    ["another run's", JSON.stringify({ ...state(), run_id: "Run-1" })],
  ])("%s is refused by name", (_, text) => {
    cli.file("home/batches/run-1.json", text);
    expect(thrown(() => State.load(env(), "run-1"))).toMatch(/run-1\.json is not the state of a batch/);
  });
});
