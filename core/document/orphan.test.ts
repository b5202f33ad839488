import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as HangingHeic from "#core/document/fixtures/hanging-heic";

/**
 * A parent process whose decoder reads a picture in WebAssembly that never returns; it prints the decoder's process id.
 */
const parent = `
import { readFileSync } from "node:fs";
const { Decoder } = await import(${JSON.stringify(new URL("decoder.ts", import.meta.url).href)});
const decoder = new Decoder({ program: async () => ${JSON.stringify(HangingHeic.url)}, limitMs: 600_000 });
const work = { bytes: readFileSync(process.argv[1]), sha256: "of the picture" };
const page = { mimeType: "image/heic", index: 0 };
await decoder.run({ op: "header", ...page }, work);
process.stdout.write(String(decoder.pid));
const image = { width: ${HangingHeic.hangingWidth}, height: 1, orientation: 1, pixelAspect: 1 };
await decoder.run({ op: "look", ...page, image }, work);
`;

/** Clock ticks of CPU time that the process has used; undefined when it has ended. Source: proc(5). */
function ticksOf(pid: number): number | undefined {
  try {
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return state === "Z" ? undefined : Number(fields[10]) + Number(fields[11]);
  } catch {
    return undefined;
  }
}

test.skipIf(process.platform !== "linux")(
  "a decoder that never returns from WebAssembly ends when its parent is killed",
  async () => {
    const picture = fileURLToPath(new URL("heif/fixtures/odd-size.heic", import.meta.url));
    const child = spawn(process.execPath, ["--input-type=module", "--eval", parent, picture], {
      cwd: new URL("../..", import.meta.url),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    await expect.poll(() => said, { timeout: 20_000 }).toMatch(/^\d+$/);
    const pid = Number(said);
    try {
      const before = ticksOf(pid) ?? 0;
      // The decoder is computing and receives no messages.
      await expect.poll(() => (ticksOf(pid) ?? 0) - before, { timeout: 20_000 }).toBeGreaterThan(30);
      child.kill("SIGKILL");
      await expect.poll(() => ticksOf(pid), { timeout: 20_000 }).toBeUndefined();
    } finally {
      if (ticksOf(pid) !== undefined) process.kill(pid, "SIGKILL");
    }
  },
);
