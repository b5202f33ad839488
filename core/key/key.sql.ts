import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Who may call. Scopes are authoritative; the role only says which preset they came from. */
export const keyTable = sqliteTable("key", {
  keyId: text("key_id").primaryKey(),
  role: text("role", { enum: ["client", "debugger", "admin"] }).notNull(),
  scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
  createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
  revokedAt: integer("revoked_at", { mode: "timestamp_ms" }),
  lastUsedAt: integer("last_used_at", { mode: "timestamp_ms" }),
  /** When new secrets end, which a rotation keeps: so long after they are made, or on a day; both null is never. */
  lifetimeMs: integer("lifetime_ms"),
  endsAt: integer("ends_at", { mode: "timestamp_ms" }),
  /** What its webhooks are signed with (core/webhook/secret.ts); null: with the stage's secret, as keys once all were. */
  webhookVersion: integer("webhook_version"),
  /** Until then also with what came before. */
  webhookOverlapUntil: integer("webhook_overlap_until", { mode: "timestamp_ms" }),
  /** Limits; null is none. */
  requestsPerMinute: integer("requests_per_minute"),
  itemsPerDay: integer("items_per_day"),
  modelSecondsPerDay: integer("model_seconds_per_day"),
  maxRunItems: integer("max_run_items"),
  maxInFlight: integer("max_in_flight"),
  maxStoredBytes: integer("max_stored_bytes"),
  maxStoredObjects: integer("max_stored_objects"),
  /** Days after which what it made is removed (core/retention/retention.ts); null: as the stage's setting says. */
  retentionDays: integer("retention_days"),
});

/** The secrets of a key: one, or two while a rotation overlaps. Only an HMAC is kept, and a short start to show. */
export const keySecretTable = sqliteTable(
  "key_secret",
  {
    hash: text("hash").primaryKey(),
    keyId: text("key_id")
      .notNull()
      .references(() => keyTable.keyId, { onDelete: "cascade" }),
    start: text("start").notNull(),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    expiresAt: integer("expires_at", { mode: "timestamp_ms" }),
  },
  (table) => [
    index("key_secret_key_id").on(table.keyId),
    // The clock asks each minute what ends soon.
    index("key_secret_expires_at").on(table.expiresAt),
  ],
);
