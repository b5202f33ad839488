/**
 * The server that a command calls: the named one, else the local loop that runs in the folder, else a loop that is
 * started for this command.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Context, UsageError } from "#cli/terminal/context";
import { home } from "#local/home/home";
import type { Target } from "./answer.ts";
import { CallError } from "./call-error.ts";
import * as Client from "./client.ts";
import * as Links from "./links.ts";
import * as Profile from "./profile.ts";

export interface Server extends Target {
  /** Runs on this machine, out of this folder. */
  readonly local: boolean;
  /** Was started for this command and ends with it. */
  readonly ownLoop: boolean;
  /** Ends a loop that this command started; calls in flight get `graceMs` (none after Ctrl-C by default). */
  close(graceMs?: number): Promise<void>;
}

const healthTimeoutMs = 3_000;
/** Another command's loop may be starting or stopping in the folder: longer than either takes. */
const startLimitMs = 60_000;
const startPollMs = 250;
/** Other callers may use the loop that was started for one command; their calls are finished. */
const closeGraceMs = 35_000;

const Health = z.looseObject({ ok: z.literal(true), version: z.string() });

/** The options of the command line that name a server. */
export interface Wish {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
  readonly profile?: string | undefined;
}

/** A server that is not the folder's own loop, and where its key was found. */
interface Named {
  readonly address: string;
  readonly addressFrom: string;
  readonly key: string | undefined;
  readonly keyFrom: string;
}

/**
 * The named server: `--url`, else a requested profile, else `OCRLTY_URL`, else the default profile; undefined is the
 * local loop. A typed key takes precedence, then `OCRLTY_API_KEY`, then keys in files; but a profile that is
 * requested by name uses its own key. Throws UsageError for an unknown profile.
 */
export function named({ env }: Pick<Context, "env">, options: Wish): Named | undefined {
  const inEnv = { key: env.OCRLTY_API_KEY || undefined, keyFrom: "OCRLTY_API_KEY" };
  const typed = options.key ? { key: options.key, keyFrom: "--key" } : undefined;
  if (options.url) return { address: options.url, addressFrom: "--url", ...(typed ?? inEnv) };
  const asked = options.profile ?? (env.OCRLTY_PROFILE || undefined);
  if (asked === Profile.local) return undefined;
  if (asked !== undefined) {
    const { url, key } = Profile.get(env, asked);
    const addressFrom = `profile ${asked}`;
    return { address: url, addressFrom, ...(typed ?? { key, keyFrom: addressFrom }) };
  }
  Links.demand(env, "OCRLTY_URL");
  if (env.OCRLTY_URL) return { address: env.OCRLTY_URL, addressFrom: "OCRLTY_URL", ...(typed ?? inEnv) };
  const { current } = Profile.load(env);
  if (current === null) return undefined;
  const { url, key } = Profile.get(env, current);
  const addressFrom = `profile ${current}`;
  const own = inEnv.key === undefined ? { key, keyFrom: addressFrom } : inEnv;
  return { address: url, addressFrom, ...(typed ?? own) };
}

/** The server to call. The folder's own key is for the folder's own loop and is never sent anywhere else. */
export async function connect(context: Context, options: Wish = {}): Promise<Server> {
  const { env } = context;
  const other = named(context, options);
  if (other !== undefined) return { ...targetOf(other), local: false, ownLoop: false, close: async () => {} };
  const giveUpAt = performance.now() + startLimitMs;
  for (let hasSaid = false; ; hasSaid = true) {
    const running = await runningLoop(context, options.key);
    if (running) return running;
    const started = await startLoop(context, options.key);
    if (started) return started;
    if (performance.now() > giveUpAt)
      throw new UsageError(`another program holds ${home(env).dir} and does not answer`);
    if (!hasSaid) context.say("another command starts or stops a local loop in this folder; waiting for it");
    await sleep(startPollMs, undefined, { signal: context.signal });
  }
}

/** Throws CallError that says where a wrong address or key was found. */
export const targetOf = ({ address, addressFrom, key, keyFrom }: Named): Target => ({
  ...Client.target(address, key, { address: addressFrom, key: keyFrom }),
  keyFrom,
});

/** The loop that runs in the folder, if it answers. */
export async function runningLoop(context: Context, key: string | undefined): Promise<Server | undefined> {
  const folder = home(context.env);
  const address = folder.url();
  if (address === undefined || !URL.canParse(address)) return undefined;
  const target = Client.target(address, undefined);
  try {
    const health = await Client.get(target, "/health", {
      timeoutMs: healthTimeoutMs,
      signal: context.signal,
    });
    if (!Health.safeParse(health).success) return undefined;
  } catch (error) {
    // Left behind by a kill -9, or another program uses the port now.
    if (error instanceof CallError) return undefined;
    throw error;
  }
  return { ...ownKey(context, address, key), local: true, ownLoop: false, close: async () => {} };
}

/** The loop of the folder with the key for it: one that was typed, else the variable's, else the folder's own. */
function ownKey({ env }: Context, address: string, key: string | undefined): Target {
  const folder = home(env);
  const target = (value: string | undefined, keyFrom: string) => ({
    ...Client.target(address, value, { key: keyFrom }),
    keyFrom,
  });
  if (key) return target(key, "--key");
  if (env.OCRLTY_API_KEY) return target(env.OCRLTY_API_KEY, "OCRLTY_API_KEY");
  return target(folder.apiKey(), folder.file("api-key"));
}

/**
 * A line for the user if the folder's own loop refused a key, with the key that would be accepted; undefined for
 * other servers, and if no better key is known.
 */
export async function betterKey(context: Context, refused: Target): Promise<string | undefined> {
  const folder = home(context.env);
  const isOwn = folder.url() !== undefined && refused.url.href === hrefOf(folder.url());
  if (!isOwn) return undefined;
  const key = folder.apiKey();
  const path = folder.file("api-key");
  const tried = key === undefined || key === refused.apiKey ? undefined : await fits(context, refused, key);
  if (tried !== undefined) {
    const how = refused.keyFrom === "OCRLTY_API_KEY" ? "unset OCRLTY_API_KEY" : "leave --key away";
    return `the key in ${path} fits (${tried}): ${how}, and it is used`;
  }
  return "npm run keys -- list-keys shows the keys of this loop, npm run keys -- create-key makes another";
}

/** The id of a key that the server takes. */
async function fits({ signal }: Context, server: Target, apiKey: string): Promise<string | undefined> {
  try {
    const me = await Client.get({ ...server, apiKey }, "/v1/me", { timeoutMs: healthTimeoutMs, signal });
    return z.object({ key_id: z.string() }).safeParse(me).data?.key_id;
  } catch (error) {
    if (error instanceof CallError) return undefined;
    throw error;
  }
}

function hrefOf(address: string | undefined): string | undefined {
  return address !== undefined && URL.canParse(address) ? new URL(address).href : undefined;
}

/** A loop on a free port; undefined if another process has the folder. */
async function startLoop(context: Context, key: string | undefined): Promise<Server | undefined> {
  if (context.isClient)
    throw new UsageError(
      "which server? Name it with --url, OCRLTY_URL or a profile (npm run ocrlty -- profile add --help)",
    );
  // Loaded here: it brings the bundler along, and a call to a server elsewhere needs none of it.
  const [{ start }, { HeldError }] = await Promise.all([import("#local/loop"), import("#local/home/lock")]);
  try {
    const loop = await start({
      home: context.env.OCRLTY_HOME || ".ocrlty",
      port: 0,
      env: context.env,
      warn: context.say,
    });
    return {
      ...ownKey(context, loop.url, key),
      local: true,
      ownLoop: true,
      close: (graceMs = context.signal.aborted ? 0 : closeGraceMs) => loop.close(graceMs),
    };
  } catch (error) {
    if (error instanceof HeldError) return undefined;
    throw error;
  }
}
