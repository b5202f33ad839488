/** The environment of a function on the loop: its settings, and the role under which it calls the queues. */
import * as Config from "#core/config";
import type { App } from "#local/app";
import type { Env, Home } from "#local/home/home";
import type { Role } from "#local/queue/server";
import * as Access from "#spec/access";

/** Settings by variable, as the loop decides them. */
export type Decided = Readonly<Record<string, string>>;

/** The access key of callers that are not functions; no stand-in checks it. */
export const loopsOwn = "local";

/** The name of a function's role, as the key that signs its requests to the queues. */
const roleOf = (functionName: string) => `role-${functionName}`;

/** The settings that a deployed function is linked to, and the role under which it calls the queues. */
export function environmentOf({ functions, table }: App, name: string, all: Decided): Decided {
  const spec = functions[name];
  if (spec === undefined) return all;
  const behindRoute = table.defaultFunction === name || table.routes.some((route) => route.function === name);
  const mine = new Set<string>(["app", ...Access.linksOf(spec, behindRoute)]);
  return {
    ...Object.fromEntries(Object.entries(all).filter(([key]) => mine.has(Access.linkOf(key) ?? "app"))),
    // Queues on another server do not know our roles.
    ...(all.AWS_ACCESS_KEY_ID === loopsOwn ? { AWS_ACCESS_KEY_ID: roleOf(name) } : {}),
  };
}

/** A function's rights on the queues; undefined for callers that are not functions: mappings, operators, tests. */
export function rightsOf({ functions, queues = {} }: App, accessKeyId: string): Role | undefined {
  const found = Object.entries(functions).find(([name]) => roleOf(name) === accessKeyId);
  if (found === undefined) return undefined;
  const [name, spec] = found;
  return { functionName: name, rights: Access.queueRights(name, spec, queues) };
}

/** The functions' settings: the documented ones that are set, then those that the loop decides. */
export function settings(env: Env, home: Home, timeScale: number, decided: Decided): Decided {
  const given = Object.fromEntries(
    Config.names.flatMap((name): [string, string][] => {
      const value = env[name];
      return value ? [[name, value]] : [];
    }),
  );
  const all: Record<string, string> = {
    DEBUG_MODE: "1",
    ...given,
    API_KEY_PEPPER: home.pepper(),
    WEBHOOK_SECRET: home.webhookSecret(),
    OCRLTY_STAGE: "local",
    OCRLTY_TIME_SCALE: String(timeScale),
    // For callers that are not functions: the SDK requires credentials.
    AWS_ACCESS_KEY_ID: loopsOwn,
    AWS_SECRET_ACCESS_KEY: loopsOwn,
    ...decided,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
}
