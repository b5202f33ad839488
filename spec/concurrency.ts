import { type FunctionName, functions } from "./functions.ts";
import { type QueueSpec, queues, type Subscription, subscriptionsOf } from "./queues.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** AWS's limits for a mapping. */
const mappingMin = 2;
const mappingMax = 1_000;

/**
 * The maximum concurrency of a mapping: its setting if there is one, else its default.
 * @throws Error that names the setting if it is not a whole number from 2 to 1,000.
 */
export function mapping(subscription: Subscription, env: Env): number {
  const setting = subscription.maxConcurrencySetting;
  const given = setting === undefined ? undefined : env[setting];
  if (!given) return subscription.maxConcurrency;
  const wanted = Number(given);
  if (!Number.isInteger(wanted) || wanted < mappingMin || wanted > mappingMax)
    throw new Error(`${setting} must be a whole number from ${mappingMin} to ${mappingMax}`);
  return wanted;
}

/**
 * `RESERVED_CONCURRENCY=extract=100,reconcile=1`: the instances reserved for a function, which are also its maximum, so
 * that one function cannot take what the account's other functions need. Empty by default: a new account has ten
 * instances in all, and 100 must always stay unreserved.
 * @throws Error if a function is unknown, a value is not a number, or a queue may call its function more often than
 *   that: messages that meet a throttled function are received without being processed, until they are dead letters.
 */
export function reserved(env: Env): Partial<Record<FunctionName, number>> {
  const wanted: Partial<Record<FunctionName, number>> = {};
  for (const part of (env.RESERVED_CONCURRENCY ?? "").split(",")) {
    if (part.trim() === "") continue;
    const [name = "", text = ""] = part.split("=").map((each) => each.trim());
    const count = Number(text);
    if (!isFunction(name) || !/^\d+$/.test(text) || count < 1)
      throw new Error("RESERVED_CONCURRENCY must be a list of function=number");
    const calls = callsOfQueues(name, env);
    if (count < calls)
      throw new Error(`RESERVED_CONCURRENCY: queues call ${name} up to ${calls} times at once`);
    wanted[name] = count;
  }
  return wanted;
}

const isFunction = (name: string): name is FunctionName => Object.hasOwn(functions, name);

function callsOfQueues(name: string, env: Env): number {
  return Object.values<QueueSpec>(queues)
    .flatMap(subscriptionsOf)
    .filter((subscription) => subscription.function === name)
    .reduce((sum, subscription) => sum + mapping(subscription, env), 0);
}
