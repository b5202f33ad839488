import * as z from "zod";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import * as Breaker from "./breaker.ts";

/* The messages that cause a probe of the model server during an outage; core/outage/probe.ts does the probe. */

/**
 * The body of a probe message in the `urgent` queue: the nth probe of a chain. FIFO queues have no delay, so the
 * worker holds the message until `due`, in epoch milliseconds.
 */
export const Message = z.object({
  kind: z.literal("probe"),
  n: z.int(),
  chain: z.string().default(""),
  due: z.int().default(0),
});
export type Message = z.output<typeof Message>;

/**
 * Recognizes a probe message of any version, also one that no longer has an effect; reconcile starts another chain
 * then.
 */
export const AnyMessage = z.object({ kind: z.literal("probe") });

/**
 * Sends the message of the next probe. All are in one message group, so only one is received at a time. @throws
 * AppError `storage_unavailable`.
 */
export async function send(
  queues: Queue.Queues,
  look: Pick<Message, "n" | "chain">,
  delayMs: number,
  log: Log,
): Promise<void> {
  const body: Message = { kind: "probe", ...look, due: Date.now() + delayMs };
  const message = { body, group: "probe", deduplicationId: `probe.${look.chain}.${look.n}` };
  if ((await Queue.sendFifo(queues, "urgent", [message], log)).size === 0)
    throw new AppError("storage_unavailable", "the queue did not take the look", { retryAfterS: 2 });
}

/** Makes sure that one probe message is under way during an outage. @returns true if one had to be sent. */
export async function ensure(
  services: Pick<Services, "db" | "queues" | "times">,
  log: Log,
): Promise<boolean> {
  const { probeFirstDelayMs, probeMessageMs } = services.times;
  const chain = await Breaker.mayMessage(services.db, probeFirstDelayMs + probeMessageMs);
  if (chain === undefined) return false;
  await send(services.queues, { n: 1, chain }, probeFirstDelayMs, log);
  log.info("probe_scheduled", { n: 1 });
  return true;
}
