/** Checks every command of the program: what its help promises, and a failure under --json. */
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { allOf, isLeaf } from "#cli/command-line";
import { exit } from "#cli/terminal/context";
import { type Cli, open } from "#test/support/batch-cli";
import { serve } from "#test/support/scripted-server";
import { all } from "./program.ts";

const nowhere = {
  env: {},
  cwd: "/",
  signal: new AbortController().signal,
  out: () => {},
  say: () => {},
  stdin: async () => Buffer.alloc(0),
};

const pathOf = (command: Command): string[] =>
  command.parent ? [...pathOf(command.parent), command.name()] : [];
const program = await all(nowhere);
const commands = allOf(program)
  .filter((command) => command !== program && isLeaf(command))
  .map((command) => ({ command, path: pathOf(command), name: pathOf(command).join(" ") }));

const Envelope = z.strictObject({
  error: z.looseObject({
    code: z.string().min(1),
    message: z.string().min(1),
    request_id: z.string().nullable(),
    details: z.looseObject({}),
  }),
});

/** The only output on stdout: one line, one document. */
function documentOf(stdout: string) {
  expect(stdout).toMatch(/^[^\n]+\n$/);
  return JSON.parse(stdout) as unknown;
}

let cli: Cli;
let refusing: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  cli = open();
  cli.file("labels.json", Buffer.from('[{"file":"a.jpg","total":"1"}]'));
  cli.file("there.csv", "by hand");
  cli.file("pictures/a.jpg", Buffer.from("\xff\xd8\xff a picture to look at", "latin1"));
  refusing = await serve([
    {
      status: 401,
      body: { error: { code: "unauthorized", message: "no", request_id: "req-7", details: { a: 1 } } },
    },
  ]);
});
afterAll(async () => {
  await refusing.close();
  cli.remove();
});

/** Example values for a valid command line. */
const values: Readonly<Record<string, string>> = {
  source: "pictures",
  dir: "pictures",
  file: "pictures/a.jpg",
  labels: "labels.json",
  paths: "labels.json",
  "--out": "out.json",
};

/** The options that a command requires, by its declaration or its description. */
function needed(command: Command): { name: string; args: string[] }[] {
  const options = command.options.filter(
    ({ mandatory, description }) => mandatory || description.startsWith("required: "),
  );
  return [
    ...command.registeredArguments
      .filter(({ required }) => required)
      .map((argument) => ({
        name: argument.name(),
        args: [values[argument.name()] ?? argument.argChoices?.[0] ?? "name-1"],
      })),
    ...options.map(({ long, argChoices, required }) => ({
      name: long ?? "",
      args: required ? [long ?? "", values[long ?? ""] ?? argChoices?.[0] ?? "name-1"] : [long ?? ""],
    })),
  ];
}

it("the walk lists every option that writes a file", () => {
  const writing = commands.flatMap(({ command, name }) =>
    command.options
      .filter((each) => each.required && /\bwrite\b/.test(each.description))
      .map(({ long }) => `${name} ${long}`),
  );
  expect(writing.toSorted()).toEqual([
    ...["artifact get --out", "backup --out", "batch --out", "diff --worst"],
    ...[
      "eval --junit",
      "eval --report",
      "eval --worst",
      "gt convert --out",
      "gt from-run --out",
      "gt get --out",
    ],
    ...["rerun --out", "results --out"],
  ]);
});

it("the walk covers every command, and each has a description", () => {
  expect(commands.length).toBeGreaterThanOrEqual(39);
  for (const { command, name } of commands) expect(command.description(), name).not.toBe("");
});

describe.each(commands)("$name", ({ command, path }) => {
  it("--help has an example of it, exit statuses, and says what is required", async () => {
    const { status, stdout, stderr } = await cli.run([...path, "--help"]);
    expect({ status, stderr }).toEqual({ status: exit.ok, stderr: "" });
    expect(stdout).toMatch(/^Examples?:\n {2}\S/m);
    const examples = stdout.slice(stdout.search(/^Examples?:/m)).replaceAll(/\s+/g, " ");
    expect(examples).toContain(path.slice(1).join(" "));
    expect(stdout).toMatch(/^Exit status: 0 [^,]+, .*2 \w/m);
    for (const option of ["--json", "--quiet"]) expect(stdout).toContain(option);
    const flat = stdout.replaceAll(/\s+/g, " ");
    for (const { mandatory, long } of command.options)
      if (mandatory) expect(flat).toMatch(new RegExp(`${long} <[^>]+> required: `));
    for (const argument of command.registeredArguments) expect(argument.description).not.toBe("");
  });

  it("with --json a mistake is one document, the API's error envelope", async () => {
    const args = needed(command).flatMap((each) => each.args);
    const { status, stdout, stderr } = await cli.run([...path, ...args, "--json", "--no-such-option"]);
    expect(status).toBe(exit.failed);
    expect(Envelope.parse(documentOf(stdout)).error).toMatchObject({ code: "usage", request_id: null });
    expect(stderr).toContain("--no-such-option");
  });

  it("a missing required option or argument is named, and nothing was done", async () => {
    for (const [i, { name }] of needed(command).entries()) {
      const others = needed(command).filter((_, j) => i !== j);
      // If an argument is missing, the parser reports the last one, whichever was left out.
      if (!name.startsWith("--") && others.some((each) => !each.name.startsWith("--"))) continue;
      const args = others.flatMap((each) => each.args);
      const { status, stdout } = await cli.run([...path, ...args, "--json"]);
      expect(status, name).toBe(exit.failed);
      const { code, message } = Envelope.parse(documentOf(stdout)).error;
      expect({ code, message }).toMatchObject({ code: "usage", message: expect.stringContaining(name) });
    }
  });

  const writes = command.options.filter((each) => each.required && /\bwrite\b/.test(each.description));
  it.runIf(writes.length > 0)(
    "a file that exists is refused before the work, and stays as it is",
    async () => {
      const more = { batch: ["pictures"], eval: ["--fail-under", "total=1"] }[path[0] ?? ""] ?? [];
      const others = needed(command).filter(({ name }) => name !== "--out");
      const args = [...others.flatMap((each) => each.args), ...more];
      for (const { long } of writes) {
        const taken = [long ?? "", "there.csv", "--json"];
        const { status, stdout } = await cli.run([...path, ...args, ...taken], {
          env: { OCRLTY_URL: refusing.url, OCRLTY_API_KEY: "key-1" },
        });
        expect({ status, error: Envelope.parse(documentOf(stdout)).error.message }, long).toEqual({
          ...{ status: exit.failed, error: "there.csv exists: name another file, or add --force" },
        });
      }
      expect(cli.read("there.csv")).toBe("by hand");
    },
  );

  it.runIf(command.options.some(({ long }) => long === "--url"))(
    "with --json a refusal of the server is one document, as the server said it",
    async () => {
      const args = needed(command).flatMap((each) => each.args);
      // Commands whose argument may be omitted, because of --resume, --all and --none.
      const sources: Record<string, string[]> = {
        batch: ["pictures"],
        replay: ["name-1"],
        "pod use": ["pod-1"],
      };
      const source = sources[path.join(" ")] ?? [];
      const own = ["profile", "add"].every((name, i) => path[i] === name);
      const server = own ? ["--url", "ftp://x"] : ["--url", refusing.url, "--key", "key-1"];
      const { status, stdout, stderr } = await cli.run([...path, ...args, ...source, ...server, "--json"]);
      // The mistake is in the value that this option checks.
      if (path[0] === "doctor") {
        expect(status).toBe(exit.items);
        return expect(documentOf(stdout)).toMatchObject({ ok: false });
      }
      expect(status).toBe(exit.failed);
      const { error } = Envelope.parse(documentOf(stdout));
      if (own) return expect(error).toMatchObject({ code: "usage" });
      expect(error).toEqual({ code: "unauthorized", message: "no", request_id: "req-7", details: { a: 1 } });
      expect(stderr).toContain("the key from --key is wrong, revoked or expired");
    },
  );
});
