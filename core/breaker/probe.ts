import * as z from "zod";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import * as Breaker from "./breaker.ts";

/*
 * The messages that look for the model server while it is away; what a look does is core/outage/probe.ts.
 */

/**
 * The body of a probe message in the `urgent` queue: the nth look of a chain of them. FIFO queues take no delay, so its
 * worker holds it until it is due, in epoch milliseconds.
 */
export const Message = z.object({
  kind: z.literal("probe"),
  n: z.int(),
  chain: z.string().default(""),
  due: z.int().default(0),
});
export type Message = z.output<typeof Message>;

/** What of any version is such a message, also one that came up where it has no effect: reconcile begins another chain. */
export const AnyMessage = z.object({ kind: z.literal("probe") });

/** Sends the next look. All of them are one group: none begins while another is at it. @throws AppError `storage_unavailable`. */
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

/** Makes sure that one probe message is under way while the model server is away. @returns whether one had to be sent. */
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
