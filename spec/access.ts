/**
 * What a function may use, computed from the tables: its links and its rights on queues. The SST components turn them
 * into links and IAM statements. The local loop gives its processes nothing else, so a function that uses more fails on
 * a laptop as it would in the cloud.
 */
import type { FunctionSpec } from "./functions.ts";
import { queues as allQueues, type QueueSpec, urlVariable } from "./queues.ts";
import { commandOnly, derived, type LinkName, plain, secrets } from "./settings.ts";

/**
 * Its links. A function behind a route that has the database also checks API keys, so it needs the pepper of their
 * hashes.
 */
export function linksOf(spec: Pick<FunctionSpec, "links">, behindRoute: boolean): LinkName[] {
  return [...spec.links, ...(behindRoute && spec.links.includes("database") ? (["auth"] as const) : [])];
}

const links: ReadonlyMap<string, LinkName | "app"> = new Map([
  ...Object.entries<{ link: LinkName | "app" }>({ ...secrets, ...derived }).map(
    ([name, { link }]) => [name, link] as const,
  ),
  ...Object.entries(plain).flatMap(([link, names]) =>
    names.map((name) => [name, link as keyof typeof plain] as const),
  ),
  ...Object.keys(allQueues).map((queue) => [urlVariable(queue), "queues"] as const),
  ...commandOnly.map((name) => [name, "pod"] as const),
]);

/**
 * The link that carries a variable of core/config.ts; `app` if every function has it. Undefined for settings of the
 * local loop.
 */
export function linkOf(variable: string): LinkName | "app" | undefined {
  return links.get(variable);
}

/** What a function may do with queues, as IAM names the actions. */
export interface QueueRight {
  readonly actions: readonly string[];
  /** True: the right is on the queue's dead-letter queue, not on the queue itself. */
  readonly on: readonly { readonly queue: string; readonly deadLetters: boolean }[];
}

/** What the event source mapping does in the function's role. */
const take = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/** A worker also changes the visibility of its message. */
const work = [...take, "sqs:ChangeMessageVisibility"];

/**
 * A function's rights on queues: to send to them and to read their state (functions.ts), and to consume them
 * (queues.ts).
 */
export function queueRights(
  name: string,
  { sends = [], asks = [] }: Pick<FunctionSpec, "sends" | "asks">,
  queues: Readonly<Record<string, QueueSpec>>,
): QueueRight[] {
  const itself = (queue: string) => ({ queue, deadLetters: false });
  const of = (kind: "subscription" | "deadLetter") =>
    Object.keys(queues).filter((queue) => queues[queue]?.[kind]?.function === name);
  return [
    { actions: ["sqs:SendMessage"], on: sends.map(itself) },
    { actions: ["sqs:GetQueueAttributes"], on: asks.map(itself) },
    { actions: work, on: of("subscription").map(itself) },
    { actions: take, on: of("deadLetter").map((queue) => ({ queue, deadLetters: true })) },
  ].filter(({ on }) => on.length > 0);
}
