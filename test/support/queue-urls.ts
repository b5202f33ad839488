import type { Queues } from "#core/queue/queue";
import type { QueueServer } from "#local/queue/server";

/** The addresses of a server's queues by their names; empty for queues that it does not have. */
export function queueUrls({ queues }: Pick<QueueServer, "queues">): Queues["urls"] {
  const urlOf = (name: keyof Queues["urls"]) => queues[name]?.url ?? "";
  return {
    plan: urlOf("plan"),
    item: urlOf("item"),
    single: urlOf("single"),
    later: urlOf("later"),
    urgent: urlOf("urgent"),
  };
}
