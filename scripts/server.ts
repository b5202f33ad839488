/**
 * Which server a command talks to: the one that was named, else the local loop that runs in the folder, else one
 * that is started for the time of the command.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { home } from "#local/home";
import * as Client from "#scripts/client";
import { type Context, UsageError } from "#scripts/context";
import * as Links from "#scripts/links";

export interface Server extends Client.Target {
  /** Runs on this machine, out of this folder. */
  readonly local: boolean;
  /** Was started for this command and ends with it. */
  readonly ownLoop: boolean;
  /** Ends a loop of our own; calls in flight get `graceMs` (none after Ctrl-C, unless told). */
  close(graceMs?: number): Promise<void>;
}

const healthTimeoutMs = 3_000;
/** Another command's loop may be starting or stopping in the folder: longer than either takes. */
const startLimitMs = 60_000;
const startPollMs = 250;
/** A loop that was started for one command may have got other callers meanwhile; they get to finish. */
const closeGraceMs = 35_000;

const Health = z.looseObject({ ok: z.literal(true), version: z.string() });

/**
 * The server to call. `OCRLTY_URL` goes with `OCRLTY_API_KEY`; the folder's own key is for the folder's own loop
 * and is never sent anywhere else. Throws CallError and UsageError.
 */
export async function connect(
  context: Context,
  options: { url?: string | undefined; key?: string | undefined } = {},
): Promise<Server> {
  const { env } = context;
  if (!options.url) Links.demand(env, "OCRLTY_URL");
  const address = options.url || env.OCRLTY_URL;
  if (address) {
    return {
      ...Client.target(address, options.key || env.OCRLTY_API_KEY),
      local: false,
      ownLoop: false,
      close: async () => {},
    };
  }
  const giveUpAt = performance.now() + startLimitMs;
  for (let told = false; ; told = true) {
    const running = await runningLoop(context, options.key);
    if (running) return running;
    const started = await startLoop(context, options.key);
    if (started) return started;
    if (performance.now() > giveUpAt)
      throw new UsageError(`another program holds ${home(env).dir} and does not answer`);
    if (!told) context.say("another command starts or stops a local loop in this folder; waiting for it");
    await sleep(startPollMs, undefined, { signal: context.signal });
  }
}

/** The loop that runs in the folder, if it answers. */
async function runningLoop(context: Context, key: string | undefined): Promise<Server | undefined> {
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
    // Left behind by a kill -9, or another program's port by now.
    if (error instanceof Client.CallError) return undefined;
    throw error;
  }
  const apiKey = key || folder.apiKey() || context.env.OCRLTY_API_KEY;
  return { ...Client.target(address, apiKey), local: true, ownLoop: false, close: async () => {} };
}

/** A loop of our own on a free port; undefined when somebody else has the folder. */
async function startLoop(context: Context, key: string | undefined): Promise<Server | undefined> {
  // Loaded here: it brings the bundler along, and a call to a server elsewhere needs none of it.
  const [{ start }, { HeldError }] = await Promise.all([import("#local/loop"), import("#local/lock")]);
  try {
    const loop = await start({
      home: context.env.OCRLTY_HOME || ".ocrlty",
      port: 0,
      env: context.env,
      warn: context.say,
    });
    const apiKey = key || loop.apiKey || context.env.OCRLTY_API_KEY;
    return {
      ...Client.target(loop.url, apiKey),
      local: true,
      ownLoop: true,
      close: (graceMs = context.signal.aborted ? 0 : closeGraceMs) => loop.close(graceMs),
    };
  } catch (error) {
    if (error instanceof HeldError) return undefined;
    throw error;
  }
}
