/**
 * What a function may use, by the tables: its links, and its rights at queues. The SST components turn it into links and
 * IAM statements, and the local loop gives its processes no more: a function that uses something else fails on a laptop as
 * it would in the cloud.
 */
import type { FunctionSpec } from "./functions.ts";
import { queues as allQueues, type QueueSpec, urlVariable } from "./queues.ts";
import { commandOnly, derived, type LinkName, plain, secrets } from "./settings.ts";

/** Its links. Functions behind routes that have the database read keys, and so need the pepper of the keys' hashes. */
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

/** The link that brings a variable of core/config.ts; `app`: every function has it. Undefined for settings of the loop. */
export function linkOf(variable: string): LinkName | "app" | undefined {
  return links.get(variable);
}

/** What a function may do with queues, in IAM's names. */
export interface QueueRight {
  readonly actions: readonly string[];
  /** `deadLetters`: not the queue itself but its dead-letter queue. */
  readonly on: readonly { readonly queue: string; readonly deadLetters: boolean }[];
}

/** What the event source mapping does with the function's role. */
const take = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/** A worker also sets its own message's visibility. */
const work = [...take, "sqs:ChangeMessageVisibility"];

/** A function's rights at queues: to send and to ask by functions.ts, to work by queues.ts. */
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
