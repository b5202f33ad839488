/**
 * A stage's settings under `npx sst shell --stage NAME -- …`: SST hands the links over as JSON in
 * `SST_RESOURCE_<Name>`, or all of them in `SST_RESOURCES_JSON`. Their properties carry the names of our variables
 * (infra/links.ts), so every command finds the stage's database, bucket and queues as if they had been exported.
 */
import * as z from "zod";
import { UsageError } from "#cli/terminal/context";
import { names } from "#core/config";
import type { Env } from "#local/home/home";
import { queues, urlVariable } from "#spec/queues";

/** The variables that may be set: a link can hold more, but must not replace PATH or a proxy. */
const known = new Set([...names, ...Object.keys(queues).map(urlVariable)]);
const Link = z.record(z.string(), z.unknown());
const Api = z.object({ url: z.url() });
const App = z.object({ stage: z.string() });

/**
 * The environment with the linked settings, and the stage's API as `OCRLTY_URL`. They take precedence over variables
 * of the same name, because a user who names a stage means that stage, whatever a local `.env` says. Outside `sst
 * shell` it is returned unchanged.
 */
export function withLinks(env: Env): Env {
  const links = linksOf(env);
  // A profile that the environment names is another server's.
  return { ...env, ...(links.App === undefined ? {} : { OCRLTY_PROFILE: undefined }), ...settingsOf(links) };
}

/**
 * Does nothing outside `sst shell`. Inside, a stage that was not deployed, or not completely, lacks settings; a
 * laptop's own settings must not replace them.
 * @throws UsageError that names stage and variable, never a value.
 */
export function demand(env: Env, variable: "DATABASE_URL" | "API_KEY_PEPPER" | "OCRLTY_URL"): void {
  const links = linksOf(env);
  const { stage } = App.safeParse(links.App).data ?? {};
  if (stage === undefined) return;
  const value = settingsOf(links)[variable];
  if (value === undefined)
    throw new UsageError(`stage ${stage} has no ${variable}: deploy it first (docs/deploy.md)`);
  // Anything else would be the name of a file here.
  if (variable === "DATABASE_URL" && !/^(libsql|https?|wss?):\/\//.test(value))
    throw new UsageError(`DATABASE_URL of stage ${stage} is not an address: one begins with libsql://`);
}

/** The stage that `sst shell` was called for; undefined outside of it. */
export const stageOf = (env: Env): string | undefined => App.safeParse(linksOf(env).App).data?.stage;

/** The linked settings by variable; empty outside `sst shell`. */
function settingsOf(links: Record<string, unknown>): Record<string, string> {
  if (links.App === undefined) return {};
  const api = Api.safeParse(links.Api).data;
  const linked = Object.values(links)
    .flatMap((link) => Object.entries(Link.safeParse(link).data ?? {}))
    .filter((pair): pair is [string, string] => known.has(pair[0]) && typeof pair[1] === "string");
  return { ...Object.fromEntries(linked), ...(api === undefined ? {} : { OCRLTY_URL: api.url }) };
}

function linksOf(env: Env): Record<string, unknown> {
  const single = Object.entries(env)
    .filter(([name]) => name.startsWith("SST_RESOURCE_"))
    .map(([name, value]) => [name.slice("SST_RESOURCE_".length), parse(value)]);
  return { ...Link.safeParse(parse(env.SST_RESOURCES_JSON)).data, ...Object.fromEntries(single) };
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}
