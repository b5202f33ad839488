/** The checks of `ocrlty doctor`: each returns findings, and none changes anything. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { Context } from "#cli/terminal/context";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Expiries from "#core/readiness/expiries";
import { packageRoot } from "#local/home/home";
import { queues, urlVariable } from "#spec/queues";
import manifest from "../../package.json" with { type: "json" };
import type { Target } from "./answer.ts";
import { CallError } from "./call-error.ts";
import * as Client from "./client.ts";

import * as ServerDatabase from "./database.ts";
import * as DeadLetters from "./dead-letters.ts";
import * as Failure from "./failure.ts";
import { type Finding, finding } from "./finding.ts";
import * as ImageUrls from "./image-urls.ts";

import * as Profile from "./profile.ts";
import { failureOf } from "./refusal.ts";
import * as Server from "./server.ts";
import * as SettingsFindings from "./settings-findings.ts";

/** The command with which a stage's own settings are available. */
const underShell = "of a stage: npx sst shell --stage NAME -- node scripts/launch.mjs ocrlty doctor";

/** All findings; a finding may be the cause of those after it. */
export async function examine(context: Context, wish: Server.Wish): Promise<Finding[]> {
  const { env } = Config.withAliases(context.env);
  const around = { ...context, env };
  const own = [program(), ...SettingsFindings.findings(env), ...files(env)];
  const { findings: served, isOwn, expiries } = await server(around, wish);
  // Another server has its own database and queues; only `sst shell` knows their addresses.
  const isHere = isOwn || Boolean(env.DATABASE_URL);
  const data = !SettingsFindings.hasDatabase(env)
    ? [finding("database", "skipped", "its setting is wrong")]
    : isHere
      ? await attempt("database", () => database(around, expiries))
      : [elsewhere(isOwn === undefined)];
  return [
    ...own,
    ...served,
    ...data,
    ...(await attempt("queues", () => queuesOf(around))),
    ...(await attempt("image_urls", () => ImageUrls.findings(env))),
    ...secrets(env, expiries),
  ];
}

const elsewhere = (isUnknown: boolean) =>
  isUnknown
    ? finding("database", "skipped", "it is not known which server is meant")
    : finding("database", "skipped", "only the server knows it", underShell);

/** A check that fails is a finding, too. */
async function attempt(check: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!Failure.isExpected(error)) throw error;
    return [finding(check, "wrong", error.message, "docs/operate.md")];
  }
}

function program(): Finding {
  const { platform, arch, version } = process;
  return finding(
    "program",
    "ok",
    `ocrlty ${manifest.version} on Node ${version.slice(1)} (${platform}-${arch})`,
  );
}

/** Files that hold secrets and that others may read. */
function files(env: Context["env"]): Finding[] {
  const open = Profile.openTo(env);
  const dotenv = join(packageRoot, ".env");
  const mode = process.platform === "win32" ? 0 : (fs.statSync(dotenv, { throwIfNoEntry: false })?.mode ?? 0);
  return [
    ...(open === undefined
      ? []
      : [
          finding(
            "files",
            "wrong",
            `others may read ${Profile.fileOf(env)}`,
            `chmod 600 ${Profile.fileOf(env)}`,
          ),
        ]),
    ...((mode & 0o044) === 0
      ? []
      : [finding("files", "note", "others may read .env", `chmod 600 ${dotenv}`)]),
  ];
}

const Health = z.looseObject({ version: z.string() });
const Me = z.looseObject({ key_id: z.string(), role: z.string() });
const Check = z.looseObject({
  ok: z.boolean(),
  error: z.string().optional(),
  models: z.array(z.string()).optional(),
  context_tokens: z.number().optional(),
});
const Expiry = z.looseObject({
  name: z.string(),
  expires_at: z.string().nullable(),
  state: z.enum(["ok", "soon", "ended"]),
});
type Expiry = z.output<typeof Expiry>;
const Ready = z.looseObject({
  checks: z.record(z.string(), Check).optional(),
  expiries: z
    .looseObject({ settings: z.array(Expiry).nullable(), keys: z.array(Expiry).nullable() })
    .optional(),
});

const cures: Readonly<Record<string, string>> = {
  model_server: "start it (ocrlty pod start), or correct VLLM_BASE_URL, VLLM_API_KEY and VLLM_MODEL",
  storage: "correct S3_BUCKET, S3_ENDPOINT_URL and their keys",
  database: "mend DATABASE_URL and DATABASE_AUTH_TOKEN",
  queue: "docs/operate.md, and the queues' alarms",
  conditional_writes: "use a bucket that knows If-None-Match (docs/compatibility.md)",
};

/** The server's own list of secrets that expire; undefined if it returns none. */
type KnownExpiries = { settings: readonly Expiry[] | null; keys: readonly Expiry[] | null } | undefined;
interface Served {
  findings: Finding[];
  /** The loop of this folder, or none; undefined: it is not known which one is meant. */
  isOwn: boolean | undefined;
  expiries?: KnownExpiries;
}

async function server(context: Context, wish: Server.Wish): Promise<Served> {
  let target: Target | undefined;
  let isOwn: boolean | undefined;
  try {
    const named = Server.named(context, wish);
    isOwn = named === undefined;
    target = named === undefined ? await Server.runningLoop(context, wish.key) : Server.targetOf(named);
  } catch (error) {
    if (!Failure.isExpected(error)) throw error;
    const cure = /^the API key/.test(error.message)
      ? "correct the key, or leave it out"
      : "name another: --url, OCRLTY_URL or --profile (profile list shows them)";
    return { findings: [finding(isOwn ? "key" : "server", "wrong", error.message, cure)], isOwn };
  }
  if (target === undefined)
    return {
      findings: [finding("server", "note", "no local loop runs, and none is named", "npm start")],
      isOwn,
    };
  return { ...(await ask(context, target, isOwn)), isOwn };
}

async function ask(context: Context, target: Target, isOwn: boolean): Promise<Omit<Served, "isOwn">> {
  const call = (path: string) => Client.call(target, { path, signal: context.signal, timeoutMs: 15_000 });
  const findings: Finding[] = [];
  try {
    const health = Health.safeParse((await call("/health")).json).data;
    if (health === undefined)
      return {
        findings: [finding("server", "wrong", `${target.url.origin} is not an OCRlty server`, "mend --url")],
      };
    findings.push(finding("server", "ok", `${target.url.href} answers, version ${health.version}`));
    if (health.version !== manifest.version)
      findings.push(
        finding(
          "versions",
          "note",
          `the server is ${health.version}, this program ${manifest.version}`,
          "update the older one (docs/versions.md)",
        ),
      );
    const me = await call("/v1/me");
    const who = me.status === 200 ? Me.safeParse(me.json).data : undefined;
    if (who === undefined) {
      const cure =
        (await Server.betterKey(context, target)) ?? "name another: --key, OCRLTY_API_KEY or a profile";
      return { findings: [...findings, finding("key", "wrong", failureOf(me).message, cure)] };
    }
    findings.push(
      finding("key", "ok", `${who.key_id}, role ${who.role}, from ${target.keyFrom ?? "nowhere"}`),
    );
    const ready = Ready.safeParse((await call("/readyz")).json).data;
    for (const [name, check] of Object.entries(ready?.checks ?? {})) findings.push(ofCheck(name, check));
    findings.push(...(await contextOf(ready?.checks?.model_server)));
    return { findings, expiries: ready?.expiries };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const cure = isOwn ? "npm start" : "is the address right, and the network?";
    return { findings: [...findings, finding("server", "wrong", error.message, cure)] };
  }
}

function ofCheck(name: string, { ok, error, models }: z.output<typeof Check>): Finding {
  if (ok) return finding(name, "ok", "answers", null);
  if (models !== undefined && models.length > 0)
    return finding(name, "wrong", `it serves ${models.join(", ")}, not VLLM_MODEL`, "set VLLM_MODEL to one");
  return finding(name, "wrong", error ?? "away", cures[name] ?? null);
}

/** Tasks whose answers do not get their full length in the model's context. */
async function contextOf(check: z.output<typeof Check> | undefined): Promise<Finding[]> {
  const tokens = check?.context_tokens;
  if (tokens === undefined) return [];
  const small = (await import("#core/task/context")).tooLargeFor(tokens);
  if (small.length === 0) return [];
  return [
    finding(
      "context",
      "note",
      `${tokens.toLocaleString("en")} tokens are few for ${small.join(", ")}`,
      "start the model server with more (docs/gpu.md)",
    ),
  ];
}

const Journal = z.object({ entries: z.array(z.unknown()) });

async function database(context: Context, expiries: KnownExpiries): Promise<Finding[]> {
  const place = ServerDatabase.locate(context);
  const { path } = place;
  if (path !== undefined && !fs.existsSync(path))
    return [
      finding("migrations", "note", "there is no database yet", "npm start, or npm run keys -- init-db"),
    ];
  const client = ServerDatabase.connect(place);
  try {
    const applied = await Database.guard(async () => {
      const table = "SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'";
      if ((await client.execute(table)).rows.length === 0) return 0;
      return Number((await client.execute("SELECT count(*) FROM __drizzle_migrations")).rows[0]?.[0]);
    });
    const journal = join(packageRoot, "core", "db", "migrations", "meta", "_journal.json");
    const known = Journal.parse(JSON.parse(fs.readFileSync(journal, "utf8"))).entries.length;
    const schema = schemaOf(applied, known);
    if (schema.state !== "ok" || expiries?.keys) return [schema];
    const keys = await Expiries.ofKeys(Database.wrap(client), new Date());
    return [schema, ...ending(keys, "keys rotate-key, or keys update-key --expires")];
  } finally {
    client.close();
  }
}

function schemaOf(applied: number, known: number): Finding {
  if (applied < known)
    return finding(
      "migrations",
      "wrong",
      `${known - applied} of ${known} are not applied`,
      "npm run ocrlty -- migrate",
    );
  if (applied > known)
    return finding(
      "migrations",
      "wrong",
      `the database has ${applied - known} that this checkout lacks`,
      "update the checkout",
    );
  return finding("migrations", "ok", `all ${known} are applied`);
}

async function queuesOf(context: Context): Promise<Finding[]> {
  const { client, urls } = DeadLetters.access(context);
  try {
    const named = Object.keys(queues).filter((queue) => urls[urlVariable(queue)]);
    if (named.length === 0)
      return [finding("queues", "skipped", "no loop runs here, and no stage is named", underShell)];
    return await DeadLetters.friendly(context, () =>
      Promise.all(
        named.map(async (queue) => {
          const pair = await DeadLetters.find(client, urls[urlVariable(queue)] ?? "");
          const [live, dead] = await Promise.all([DeadLetters.count(pair, "live"), DeadLetters.count(pair)]);
          const found = `${live} waiting, ${dead} dead letters`;
          return dead === 0
            ? finding(`queue ${queue}`, "ok", found)
            : finding(`queue ${queue}`, "wrong", found, `npm run ocrlty -- redrive ${queue} --dry-run`);
        }),
      ),
    );
  } finally {
    client.destroy();
  }
}

/** When secrets expire: those of the server, and those in this machine's settings. */
function secrets(env: Context["env"], expiries: KnownExpiries): Finding[] {
  const known = expiries?.settings ?? [];
  // No function has RunPod's key or Cloudflare's token.
  const own = ofSettings(env).filter(({ name }) => !known.some((each) => each.name === name));
  return [
    ...ending([...known, ...own], "renew it before then (docs/operate/keys.md)"),
    ...ending(expiries?.keys ?? [], "keys rotate-key"),
  ];
}

function ofSettings(env: Context["env"]): Expiry[] {
  try {
    return Expiries.ofSettings(Config.credentialsOf(env), new Date());
  } catch (error) {
    // A wrong setting is among the findings already.
    if (error instanceof Config.ConfigError) return [];
    throw error;
  }
}

const ending = (expiries: readonly Expiry[], cure: string): Finding[] =>
  expiries.map(({ name, expires_at: at, state }) => {
    const when = at === null ? "never ends" : `${state === "ended" ? "ended" : "ends"} ${at.slice(0, 10)}`;
    return finding(`expiry ${name}`, state === "ok" ? "ok" : "wrong", when, state === "ok" ? null : cure);
  });
