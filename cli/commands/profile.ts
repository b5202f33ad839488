import { Command } from "commander";
import * as Profile from "#cli/server/profile";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import { paint } from "#cli/terminal/terminal";

interface AddOptions {
  url: string;
  key?: string;
  force?: boolean;
  json?: boolean;
}

const about = `
A profile is a server's address with its key, under a name. --profile NAME (or OCRLTY_PROFILE) calls that server; "use"
makes it the one that commands call by default. The first of these that is given is taken: --url and --key, --profile,
OCRLTY_URL and OCRLTY_API_KEY, the profile in use, the local loop. Keys are in one file that you alone can read, and are never shown.`;

const exits = { 0: "done", 2: "usage, or a file that cannot be read or written" };

/** Arguments that all verbs get. */
interface Verbs {
  readonly context: Context;
  readonly done: (status: Exit) => void;
  readonly verb: (name: string, description: string, examples: string[]) => Command;
}

/** `profile add|list|use|remove`: several servers by name. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const profile = new Command("profile").description("servers by name, with their keys");
  const verb: Verbs["verb"] = (name, description, examples) =>
    Help.add(profile.command(name).description(description), { examples, exits });
  Help.add(profile, { about, examples: ["npm run ocrlty -- profile list"], exits });
  const verbs = { context, done, verb };
  addAdd(verbs);
  addList(verbs);
  addUse(verbs);
  addRemove(verbs);
  return profile;
}

function addAdd({ context, done, verb }: Verbs): void {
  verb("add", "store a server and its key", [
    "npm run ocrlty -- profile add production --url https://api.example.com --key - < key.txt",
    "npm run ocrlty -- profile add staging --url https://staging.example.com",
  ])
    .argument("<name>", "what it is called from now on")
    .requiredOption("--url <url>", "the server's address")
    .option("--key <key>", '"-" reads it from stdin, where no history keeps it (default: OCRLTY_API_KEY)')
    .option("--force", "replace the profile of this name")
    .option("--json", "the result on one line of JSON")
    .action(async (name: string, options: AddOptions) => {
      const key = options.key === "-" ? String(await context.stdin()).trim() : options.key;
      if (key === "") throw new UsageError("there is no key on stdin");
      const given = key ?? context.env.OCRLTY_API_KEY;
      const from =
        key === undefined && given ? " with the key of OCRLTY_API_KEY" : given ? "" : " without a key";
      Profile.add(context.env, name, { url: options.url, key: given }, { replace: options.force === true });
      const { url } = Profile.get(context.env, name);
      context.out(options.json ? json({ name, ...shown({ url, key: given }) }) : `${name}: ${url}${from}\n`);
      if (url.startsWith("http:") && !/^http:\/\/(localhost|127\.|\[::1\])/.test(url))
        context.say("note: that address is http: the key travels where others can read it");
      context.say(`try it: npm run ocrlty -- whoami --profile ${name}`);
      done(exit.ok);
    });
}

function addList({ context, done, verb }: Verbs): void {
  verb("list", "the profiles there are, and which is in use", ["npm run ocrlty -- profile list --json"])
    .option("--json", "a line of JSON a profile")
    .action((options: { json?: boolean }) => {
      const { current, profiles } = Profile.load(context.env);
      const names = Object.entries(profiles);
      const open = Profile.openTo(context.env);
      if (open !== undefined)
        context.say(`warning: others may read ${Profile.fileOf(context.env)} (mode ${open}): chmod 600 it`);
      if (options.json) {
        for (const [name, each] of names)
          context.out(json({ name, ...shown(each), in_use: name === current }));
        return done(exit.ok);
      }
      const isOn = context.colors?.out;
      const rows = names.map(([name, each]) => {
        const { url, key } = shown(each);
        return [name === current ? "*" : "", name, url, key ?? "-"];
      });
      const [head = "", ...lines] = Table.table([["", "PROFILE", "SERVER", "KEY"], ...rows], context).split(
        /(?<=\n)/,
      );
      context.out([paint(isOn, "bold", head.trimEnd()), "\n", ...lines].join(""));
      if (current === null) context.say("none is in use: OCRLTY_URL, else the local loop, is called");
      done(exit.ok);
    });
}

function addUse({ context, done, verb }: Verbs): void {
  verb("use", "call this server by default; local: the local loop again", [
    "npm run ocrlty -- profile use production",
    "npm run ocrlty -- profile use local",
  ])
    .argument("<name>", "a profile, or local")
    .option("--json", "the result on one line of JSON")
    .action((name: string, { json: isJson }: { json?: boolean }) => {
      Profile.use(context.env, name);
      context.out(isJson ? json({ in_use: name }) : `${name} is in use\n`);
      if (context.env.OCRLTY_URL && name !== Profile.local)
        context.say("note: OCRLTY_URL is set, and goes before it");
      done(exit.ok);
    });
}

function addRemove({ context, done, verb }: Verbs): void {
  verb("remove", "remove a server and its key", ["npm run ocrlty -- profile remove staging"])
    .argument("<name>", "the profile")
    .option("--json", "the result on one line of JSON")
    .action((name: string, { json: isJson }: { json?: boolean }) => {
      Profile.remove(context.env, name);
      context.out(isJson ? json({ removed: name }) : `${name} is removed\n`);
      done(exit.ok);
    });
}

const json = (value: unknown) => `${JSON.stringify(value)}\n`;

/** Only the public start of a key, which `keys list-keys` also shows. */
function shown({ url, key }: Profile.Profile): { url: string; key: string | null } {
  if (key === undefined) return { url, key: null };
  return { url, key: /^ocrlty_[0-9a-f]{8}(?=_)/.exec(key)?.[0] ?? "set" };
}
