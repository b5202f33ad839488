/**
 * A stage's settings under `npx sst shell --stage NAME -- …`: SST hands the links over as JSON in
 * `SST_RESOURCE_<Name>`, or all of them in `SST_RESOURCES_JSON`. Their properties carry the names of our variables
 * (infra/links.ts), so every command finds the stage's database, bucket and queues as if they had been exported.
 */
import * as z from "zod";
import { names } from "#core/config";
import { queues, urlVariable } from "#infra/queues";
import type { Env } from "#local/home";

/** What may be taken over: a link can hold more, and nothing of it may replace PATH or a proxy. */
const known = new Set([...names, ...Object.keys(queues).map(urlVariable)]);
const Link = z.record(z.string(), z.unknown());
const Api = z.object({ url: z.url() });

/**
 * The environment with the linked settings in it, and the stage's API as `OCRLTY_URL`. They win over variables of the
 * same name: whoever asks for a stage means that stage, whatever a `.env` on the same machine says. Outside
 * `sst shell` it is returned as it is.
 */
export function withLinks(env: Env): Env {
  const links = linksOf(env);
  if (links.App === undefined) return env;
  const api = Api.safeParse(links.Api).data;
  const linked = Object.values(links)
    .flatMap((link) => Object.entries(Link.safeParse(link).data ?? {}))
    .filter((pair): pair is [string, string] => known.has(pair[0]) && typeof pair[1] === "string");
  return { ...env, ...Object.fromEntries(linked), ...(api === undefined ? {} : { OCRLTY_URL: api.url }) };
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
