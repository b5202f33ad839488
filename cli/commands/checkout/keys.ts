import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import * as Options from "#cli/batch/options";
import { withDatabase } from "#cli/server/database";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Config from "#core/config";
import * as Key from "#core/key/key";
import * as Stop from "#core/purge/stop";
import * as Secret from "#core/webhook/secret";
import {
  expiryForms,
  type LimitOptions,
  limited,
  limitsOf,
  parseExpiry,
  parseLimits,
  parseScopes,
} from "./key-options.ts";
import { purge } from "./purge.ts";

interface KeysOptions {
  json?: boolean;
  db?: string;
}
interface KeyOptions extends KeysOptions {
  keyId: string;
}
interface NewKeyOptions extends KeyOptions, LimitOptions {
  role: Key.Role;
  scopes?: string;
  expires?: string;
}

const about = `
The database is --db, else DATABASE_URL, else the local loop's own in OCRLTY_HOME, whether it runs or not.`;

const exits = { 0: "done", 2: "usage or database" };
const examples = {
  "init-db": ["npm run keys -- init-db"],
  "create-key": [
    "npm run keys -- create-key --key-id client-1 --role client --expires 90d",
    "npm run -s keys -- create-key --key-id ci --role client --json | jq -r .api_key",
    "npm run keys -- create-key --key-id guest --role client --requests-per-minute 60 --items-per-day 500",
  ],
  "update-key": [
    "npm run keys -- update-key --key-id guest --items-per-day 1000 --requests-per-minute none",
    "npm run keys -- update-key --key-id guest --role debugger --expires 90d",
  ],
  "list-keys": ["npm run keys -- list-keys", "npm run -s keys -- list-keys --json | jq -r .key_id"],
  "revoke-key": ["npm run keys -- revoke-key --key-id client-1 --cancel"],
  "rotate-key": ["npm run keys -- rotate-key --key-id client-1 --overlap 24h"],
  purge: ["npm run keys -- purge client-1 --yes"],
  "webhook-secret": ["npm run -s keys -- webhook-secret client-1"],
};

/** Options that all verbs have. */
interface Verbs {
  readonly context: Context;
  readonly done: (status: Exit) => void;
  readonly verb: (name: keyof typeof examples, description: string, more?: object) => Command;
}

/** `keys VERB`: key administration. There is no HTTP route for it. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const keys = Help.add(new Command("keys").description("make, list, limit, rotate and revoke API keys"), {
    about,
    examples: Object.values(examples).flatMap(([first = ""]) => first),
    exits,
  });
  const verb: Verbs["verb"] = (name, description, more = {}) =>
    Help.add(keys.command(name).description(description), {
      about,
      examples: examples[name],
      exits: { ...exits, ...more },
    })
      .option("--json", "JSON on one line of stdout; of a list a line each")
      .option("--db <file-or-url>", "the database (default: DATABASE_URL, else the local loop's)");
  const verbs = { context, done, verb };
  addInit(verbs);
  addCreate(verbs);
  addUpdate(verbs);
  addList(verbs);
  addRevoke(verbs);
  addRotate(verbs);
  purge(
    verb("purge", "remove everything that belongs to a key, in bucket and database; may be repeated", {
      1: "nothing is purged yet",
      2: "usage, database or bucket",
    }),
    context,
    done,
  );
  addWebhookSecret(verbs);
  return keys;
}

const keyId = () => new Option("--key-id <id>", "the key's id").makeOptionMandatory();

function addInit({ context, done, verb }: Verbs): void {
  verb("init-db", "make the database or bring it to the current schema").action(
    async (options: KeysOptions) => {
      await withDatabase(context, options, { create: true }, async ({ db, url, pepper }) => {
        await Key.checkPepper(db, pepper());
        const where = url.startsWith("file:") ? fileURLToPath(url) : url;
        context.out(options.json ? json({ ok: true, database: where }) : `the database is ready: ${where}\n`);
      });
      done(exit.ok);
    },
  );
}

function addCreate({ context, done, verb }: Verbs): void {
  limited(verb("create-key", "make a key; it is shown once"))
    .addOption(keyId())
    .addOption(new Option("--role <role>", "a preset of scopes").choices(Key.roles).makeOptionMandatory())
    .option("--scopes <list>", 'instead of the role\'s: a,b or ["a","b"]')
    .option("--expires <time>", expiryForms)
    .action(async (options: NewKeyOptions) => {
      const scopes = options.scopes === undefined ? undefined : parseScopes(options.scopes);
      const expires = options.expires === undefined ? undefined : parseExpiry(options.expires);
      const limits = { ...Config.newKeyLimitsOf(context.env), ...parseLimits(options) };
      await withDatabase(context, options, { create: true }, async ({ db, pepper }) => {
        await Key.checkPepper(db, pepper());
        const { keyId, role } = options;
        show(context, options, await Key.create(db, pepper(), { keyId, role, scopes, expires, limits }));
      });
      done(exit.ok);
    });
}

function addUpdate({ context, done, verb }: Verbs): void {
  limited(verb("update-key", "change a key, everywhere after 60 s at most; the value none removes a limit"))
    .addOption(keyId())
    .addOption(
      new Option("--role <role>", "another role, with its scopes unless --scopes").choices(Key.roles),
    )
    .option("--scopes <list>", 'the scopes from now on: a,b or ["a","b"]')
    .option("--expires <time>", `when its newest secret and later ones end: ${expiryForms}`)
    .action(async (options: Partial<NewKeyOptions> & KeyOptions) => {
      const changes = {
        ...parseLimits(options),
        ...(options.role === undefined ? {} : { role: options.role }),
        ...(options.scopes === undefined ? {} : { scopes: parseScopes(options.scopes) }),
        ...(options.expires === undefined ? {} : { expires: parseExpiry(options.expires) }),
      };
      if (Object.keys(changes).length === 0)
        throw new UsageError(
          "there is nothing to change: name a limit such as --items-per-day, --role, --scopes or --expires",
        );
      await withDatabase(context, options, { create: false }, async ({ db }) => {
        show(context, options, await Key.update(db, options.keyId, changes));
      });
      done(exit.ok);
    });
}

function addList({ context, done, verb }: Verbs): void {
  verb("list-keys", "every key, without its secret").action(async (options: KeysOptions) => {
    await withDatabase(context, options, { create: false }, async ({ db }) => {
      const list = await Key.list(db);
      context.out(options.json ? list.map(json).join("") : table(list, context));
    });
    done(exit.ok);
  });
}

function addRevoke({ context, done, verb }: Verbs): void {
  verb("revoke-key", "refuse a key from now on, everywhere after 60 s at most, and show its work in progress")
    .addOption(keyId())
    .option("--cancel", "cancel its runs, and end its extracts that wait in line")
    .action(async (options: KeyOptions & { cancel?: boolean }) => {
      await withDatabase(context, options, { create: false }, async ({ db }) => {
        const key = await Key.revoke(db, options.keyId);
        const stopped = options.cancel ? await Stop.stop(db, options.keyId) : undefined;
        const going = await Stop.going(db, options.keyId);
        if (options.json) context.out(json({ ...key, going, ...(stopped && { stopped }) }));
        else {
          show(context, options, key);
          context.out(goingOf(going, stopped));
        }
      });
      done(exit.ok);
    });
}

function addRotate({ context, done, verb }: Verbs): void {
  verb("rotate-key", "give a key a new secret; the old one stays good for the overlap")
    .addOption(keyId())
    .option(
      "--overlap <duration>",
      "how long the old secret stays good, such as 24h; 0 for not at all",
      "24h",
    )
    .option(
      "--expires <time>",
      `when this secret and later ones end, instead of the key's own setting: ${expiryForms}`,
    )
    .action(async (options: KeyOptions & { overlap: string; expires?: string }) => {
      const overlapMs = options.overlap === "0" ? 0 : Options.duration("--overlap", options.overlap);
      const expires = options.expires === undefined ? undefined : parseExpiry(options.expires);
      await withDatabase(context, options, { create: false }, async ({ db, pepper }) => {
        await Key.checkPepper(db, pepper());
        show(context, options, await Key.rotate(db, pepper(), { keyId: options.keyId, overlapMs, expires }));
      });
      done(exit.ok);
    });
}

function addWebhookSecret({ context, done, verb }: Verbs): void {
  verb("webhook-secret", "what a key's webhooks are signed with: for its receivers")
    .argument("<key-id>", "the key's id")
    .option("--rotate", "make a new secret first; calls carry both signatures during the overlap")
    .option(
      "--overlap <duration>",
      "how long the previous secret signs too, such as 24h; 0 for not at all",
      "24h",
    )
    .action(async (keyId: string, options: KeysOptions & { rotate?: boolean; overlap: string }) => {
      const overlapMs = options.overlap === "0" ? 0 : Options.duration("--overlap", options.overlap);
      await withDatabase(context, options, { create: false }, async ({ db, webhookSecrets }) => {
        const secrets = webhookSecrets();
        // Checked before any change: a stage without secrets cannot derive one.
        await Secret.show(db, secrets, keyId);
        if (options.rotate) await Secret.rotate(db, keyId, overlapMs);
        const shown = await Secret.show(db, secrets, keyId);
        context.out(options.json ? json(shown) : `${shown.secret}\n`);
        if (shown.version === null)
          context.say(
            "this is the stage's own secret, which other keys share: --rotate makes one of this key's",
          );
        if (shown.overlap_until !== null)
          context.say(
            `calls are also signed with the previous secret until ${Table.minute(shown.overlap_until)} UTC`,
          );
      });
      done(exit.ok);
    });
}

/** A key's facts; for a new key, only this time, with its secret. */
function show(context: Context, options: KeysOptions, key: Key.KeyInfo | Key.Created): void {
  if (options.json) {
    context.out(json(key));
  } else {
    const rows = Object.entries(key).filter(([, value]) => value !== null);
    const width = Math.max(13, ...rows.map(([name]) => name.length + 1));
    context.out(
      rows
        .map(([name, value]) => `${name.padEnd(width)}${Array.isArray(value) ? value.join(",") : value}\n`)
        .join(""),
    );
  }
  if ("api_key" in key) context.say("keep the api_key now: it is stored nowhere and is not shown again");
}

function table(list: Key.KeyInfo[], context: Context): string {
  // Most installations have no limits.
  const withLimits = list.some((key) => limitsOf(key) !== "-");
  const head = [
    ...["KEY_ID", "ROLE", "STATE", "SCOPES", "STARTS", "CREATED", "EXPIRES", "LAST USED"],
    ...(withLimits ? ["LIMITS"] : []),
  ];
  const rows = list.map((key) => [
    key.key_id,
    key.role,
    stateOf(key),
    key.scopes.join(","),
    key.starts.join(",") || "-",
    Table.minute(key.created_at),
    Table.minute(key.expires_at),
    Table.minute(key.last_used_at),
    ...(withLimits ? [limitsOf(key)] : []),
  ]);
  return Table.table([head, ...rows], context);
}

function stateOf(key: Key.KeyInfo): string {
  if (key.revoked_at) return "revoked";
  return key.expires_at && key.expires_at <= new Date().toISOString() ? "expired" : "good";
}

const json = (value: unknown) => `${JSON.stringify(value)}\n`;

/** Lines about the work that is still in progress under a revoked key. */
function goingOf(going: Stop.Going, stopped: { runs: number; extracts: number } | undefined): string {
  const lines = [
    ...(stopped === undefined ? [] : [`stopped: ${stopped.runs} runs, ${stopped.extracts} extracts in line`]),
    ...going.runs.map(
      ({ run_id, status, items_left }) => `run ${run_id} is ${status}, ${items_left} items left`,
    ),
    ...(going.run_count > going.runs.length ? [`and ${going.run_count - going.runs.length} more runs`] : []),
    `extracts: ${going.extracts_running} running, ${going.extracts_queued} in line`,
    ...(stopped === undefined && going.run_count + going.extracts_queued > 0
      ? ["its runs get no more items from now on; --cancel stops them and its extracts in line now"]
      : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
