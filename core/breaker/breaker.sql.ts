import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Why the model server is not asked although it may answer: its pod is not ready, or the day's budget is spent. */
export interface Hold {
  for: "pod" | "budget";
  /** When it is expected to be ready, in epoch milliseconds. */
  readyAt: number;
}

/** One row per dependency; `openedAt` is null while the breaker is closed. All instances share it. */
export const breakerTable = sqliteTable("breaker", {
  name: text("name").primaryKey(),
  openedAt: integer("opened_at", { mode: "timestamp_ms" }),
  /** From this time on a caller may probe the server. */
  retryAt: integer("retry_at", { mode: "timestamp_ms" }),
  /** Until when one caller has the right to probe. */
  probeUntil: integer("probe_until", { mode: "timestamp_ms" }),
  /** There is one probe message at a time in the `urgent` queue. Until this time it counts as alive. */
  messageUntil: integer("message_until", { mode: "timestamp_ms" }),
  /** The chain that the message belongs to. A message of an older chain that still arrives does not continue. */
  messageChain: text("message_chain"),
  /** Where a managed pod's model server is now (core/pod); null: nowhere, or VLLM_BASE_URL says it. */
  address: text("address"),
  /** While it is set the breaker stays open, whatever a probe finds. */
  hold: text("hold", { mode: "json" }).$type<Hold>(),
});
