import { randomBytes } from "node:crypto";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import { type Cli, open } from "#test/support/batch-cli";
import { type Scripted, type Seen, serve } from "#test/support/scripted-server";

let cli: Cli;
let closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  cli = open();
});
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
  cli.remove();
});

const file = (name: string, content: string | Buffer) => cli.file(name, content);
const ocrlty = (args: string[], options: { env: Record<string, string> }) => cli.run(args, options);
const answer = (id: string) => ({ request_id: id, status: "succeeded", result: {}, artifact_rel: null });
async function server(...script: Scripted[]): Promise<{ seen: Seen[]; env: Record<string, string> }> {
  const { url, seen, close } = await serve(script);
  closing.push(close);
  return { seen, env: { OCRLTY_URL: url, OCRLTY_API_KEY: "key-1" } };
}
const sent = (seen: Seen) => JSON.parse(seen.body) as { image_base64: string };

describe("extract", () => {
  it.each<[string, string[], string[]]>([
    [
      "m{8..12}.jpg",
      ["m1.jpg", "m8.jpg", "m10.jpg", "m12.jpg", "m9.jpg", "m11.jpg"],
      ["m8.jpg", "m9.jpg", "m10.jpg", "m11.jpg", "m12.jpg"],
    ],
    ["{01..02}*", ["01 a", "02 b", "03 c", "1"], ["01 a", "02 b"]],
    ["q/[!a]*.jpg", ["q/a.jpg", "q/b.jpg", "q/.c.jpg"], ["q/b.jpg"]],
    [
      "**/z (1)*.jpg",
      ["z (1).jpg", "q/r/z (1) b.jpg", ".q/z (1).jpg", "z 1.jpg"],
      ["q/r/z (1) b.jpg", "z (1).jpg"],
    ],
    ["q/*/@(a|b)", ["q/1/a", "q/2/b", "q/2/c"], ["q/1/a", "q/2/b"]],
    ["ä*/x.jpg", ["a\u0308 1/x.jpg"], ["a\u0308 1/x.jpg"]],
    ["./up//?.jpg", ["up/1.jpg"], ["up/1.jpg"]],
  ])("a pattern means what a shell means: %s", async (pattern, names, expected) => {
    for (const name of names) file(name, name);
    const { seen, env } = await server({ body: answer("1") });
    expect((await ocrlty(["extract", pattern], { env })).status).toBe(exit.ok);
    const texts = seen.map((call) => Buffer.from(sent(call).image_base64, "base64").toString());
    expect(texts).toEqual(expected);
  });

  it("a pattern may be absolute", async () => {
    file("abs (1)/a.jpg", "a");
    const { seen, env } = await server({ body: answer("1") });
    const pattern = join(cli.dir, "abs (*)", "*.jpg");
    expect((await ocrlty(["extract", pattern], { env })).status).toBe(exit.ok);
    expect(seen.map((call) => atob(sent(call).image_base64))).toEqual(["a"]);
  });

  it("returns names from braces that do not exist, and counts matching folders", async () => {
    for (const name of ["k1.jpg", "k3.jpg", "k9/x.jpg"]) file(name, name);
    const { env } = await server({ body: answer("1") });
    const spelled = await ocrlty(["extract", "k{1..3}.jpg"], { env });
    expect(spelled.status).toBe(exit.items);
    expect(spelled.stderr).toContain("error: k2.jpg does not exist\n");
    const folders = await ocrlty(["extract", "k*"], { env });
    expect(folders.status).toBe(exit.ok);
    expect(folders.stderr).toContain("1 left out: a folder fits k*, too\n");
    for (const none of ["k{4..6}.jpg", "k{1..100000}.jpg", "nowhere/*"])
      expect((await ocrlty(["extract", none], { env })).status, none).toBe(exit.failed);
  });

  it("takes a password from a file or from stdin, never from the command line, and shows it nowhere", async () => {
    file("a.pdf", "x");
    file("password", "\ufeffsesame open\r\nanother line\n");
    const { env, seen } = await server({ body: answer("1") });
    const read = await ocrlty(["extract", "a.pdf", "--password-file", "password"], { env });
    expect((JSON.parse(seen[0]?.body ?? "") as { password: string }).password).toBe("sesame open");
    expect(read.stdout + read.stderr).not.toContain("sesame");
    // Stdin is empty here.
    for (const [args, said] of [
      [["a.pdf", "--password-file", "-"], "its first line is empty"],
      [["a.pdf", "--password-file", "nowhere"], "--password-file: cannot be read (ENOENT)"],
      [["-", "--password-file", "-"], "stdin is either the picture or the password"],
      [["1", "--get", "--password-file", "password"], "--password-file goes with files, not --get"],
    ] as const) {
      const refused = await ocrlty(["extract", ...args], { env });
      expect([refused.status, refused.stderr]).toEqual([exit.failed, expect.stringContaining(said)]);
    }
    expect(seen).toHaveLength(1);
  });

  it("sends the chosen pages in their order, and refuses invalid lists", async () => {
    file("scan.tif", "x");
    const { env, seen } = await server({ body: answer("1") });
    await ocrlty(["extract", "scan.tif", "--pages", "5,1-3"], { env });
    expect(seen.map((call) => (JSON.parse(call.body) as { pages: number[] }).pages)).toEqual([[5, 1, 2, 3]]);
    for (const wrong of ["0", "a", "3-1", "1-51", ""])
      expect((await ocrlty(["extract", "scan.tif", "--pages", wrong], { env })).status, wrong).toBe(2);
    expect(seen).toHaveLength(1);
  });

  it("sends look: false only for --no-look, which can be combined with files", async () => {
    file("tilted.jpg", "x");
    const { env, seen } = await server({ body: answer("1") });
    for (const options of [["--no-look"], []]) await ocrlty(["extract", "tilted.jpg", ...options], { env });
    expect(seen.map((call) => (JSON.parse(call.body) as { look?: boolean }).look)).toEqual([
      false,
      undefined,
    ]);
    expect((await ocrlty(["extract", "--get", "id", "--no-look"], { env })).status).toBe(2);
  });

  it("prints warnings in words, also about pages that were lost when the picture was scaled down here", async () => {
    const known = { code: "pages_not_read", read: 1, of: 3 };
    file("small.gif", "x");
    const { env } = await server({ body: { ...answer("1"), warnings: [known, { code: "of_tomorrow" }] } });
    const { stdout, stderr } = await ocrlty(["extract", "small.gif"], { env });
    expect(stderr).toContain("warning: small.gif: page 1 of 3 was read, the others were not\n");
    expect(JSON.parse(stdout).warnings).toHaveLength(2);
    const [width, height] = [1200, 900];
    const pixels = randomBytes(width * height * 2 * 3);
    const raw = { width, height: height * 2, channels: 3, pageHeight: height } as const;
    const large = await sharp(pixels, { raw }).webp({ lossless: true }).toBuffer();
    expect(large.length).toBeGreaterThan(3.5e6);
    file("large.webp", large);
    const { env: other } = await server({ body: { ...answer("1"), warnings: [] } });
    const scaled = await ocrlty(["extract", "large.webp"], { env: other });
    expect(JSON.parse(scaled.stdout).warnings).toEqual([{ ...known, of: 2 }]);
    expect(scaled.stderr).toContain("warning: large.webp: page 1 of 2 was read, the others were not\n");
  });
});
