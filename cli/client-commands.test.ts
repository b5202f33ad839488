/** The commands of the packed client, without packing it: it has a message for each command that needs a checkout. */
import { expect, test } from "vitest";
import { run } from "#cli/command-line";
import { type Context, exit } from "#cli/terminal/context";
import { commands } from "./client-commands.ts";
import { nouns } from "./program.ts";

async function client(args: string[], env: Record<string, string> = {}) {
  let [stdout, stderr] = ["", ""];
  const context: Context = {
    ...{ env, cwd: "/", program: "npx ocrlty", isClient: true, signal: new AbortController().signal },
    out: (text) => {
      stdout += text;
    },
    say: (line) => {
      stderr += `${line}\n`;
    },
    stdin: async () => Buffer.alloc(0),
  };
  return { status: await run(args, context, commands), stdout, stderr };
}

test("every command of a checkout is there, or says in one line that it needs one", async () => {
  expect(Object.keys(commands)).toEqual(expect.arrayContaining(Object.keys(nouns)));
  expect(await client(["logs"])).toMatchObject({
    status: exit.failed,
    stderr: expect.stringMatching(/^error: `ocrlty logs` needs a checkout: [^\n]*\n$/),
  });
  expect((await client(["artifact", "get", "--help"])).status).toBe(exit.ok);
});

test("the commands that it suggests can be run there, with --json too", async () => {
  const { stdout, stderr } = await client(["whoami", "--json"], {
    HOME: "/nowhere",
    XDG_CONFIG_HOME: "/nowhere",
  });
  const { message } = JSON.parse(stdout).error;
  expect(message).toContain("(npx ocrlty profile add --help)");
  expect(stderr).toBe(`error: ${message}\n`);
  const { stderr: guide } = await client(["results", "r", "--format", "xero"], {
    OCRLTY_URL: "http://127.0.0.1:9",
  });
  expect(guide).toContain("(/docs/ledgers of your server)");
});
