import { integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });
const count = (name: string) => integer(name).notNull().default(0);

/**
 * `loading`: the pod runs, and its model server does not serve yet. `failed`: the last start came to nothing, or the pod
 * cannot be used. `no_capacity`: the provider has no GPU for it now.
 */
export const states = [
  "stopped",
  "starting",
  "loading",
  "ready",
  "stopping",
  "failed",
  "no_capacity",
] as const;

/** The pod that the manager starts and stops: one row, written by whoever holds its lease (core/pod/store.ts). */
export const podTable = sqliteTable("pod", {
  name: text("name").primaryKey(),
  state: text("state", { enum: states }).notNull().default("stopped"),
  /** Since when it is in this state. */
  since: time("since").notNull(),
  /** The pod that is used now; null before the first look. */
  podId: text("pod_id"),
  /** The operator's choice, which comes before POD_ID and POD_IDS; null without one. */
  chosenId: text("chosen_id"),
  /** `off`: the operator stopped it, and work does not start it again. */
  wanted: text("wanted", { enum: ["auto", "off"] })
    .notNull()
    .default("auto"),
  /** When the operator ordered a start that has not been carried out. */
  startAskedAt: time("start_asked_at"),
  address: text("address"),
  /** USD an hour while it runs, as the provider last said. */
  ratePerHour: real("rate_per_hour"),
  /** The open session (`pod_session`). */
  sessionId: text("session_id"),
  /** When the provider was last ordered to start or stop it. */
  orderedAt: time("ordered_at"),
  /** Since when there is no work; null while there is work. */
  idleSince: time("idle_since"),
  /** The number of all model calls at the last check, by which work between two checks is noticed. */
  callsSeen: count("calls_seen"),
  /** Failed starts, and starts refused for want of a GPU, one after the other. */
  failures: count("failures"),
  refusals: count("refusals"),
  /** Before this time it is not started, or looked at, again. */
  retryAt: time("retry_at"),
  /** Since when the provider's API does not answer. */
  awaySince: time("away_since"),
  /** Why it is in its state, in snake_case. */
  reason: text("reason"),
  lookedAt: time("looked_at"),
  /** Who may write, and until when. */
  holder: text("holder"),
  /** New with each write, so that the other statements of its batch can tell whether it was done. */
  stamp: text("stamp"),
  leaseUntil: time("lease_until"),
});

export type PodRow = typeof podTable.$inferSelect;
