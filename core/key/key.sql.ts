import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** API keys. The scopes are authoritative; the role only tells from which preset they came. */
export const keyTable = sqliteTable("key", {
  keyId: text("key_id").primaryKey(),
  role: text("role", { enum: ["client", "debugger", "admin"] }).notNull(),
  scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
  createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
  revokedAt: integer("revoked_at", { mode: "timestamp_ms" }),
  lastUsedAt: integer("last_used_at", { mode: "timestamp_ms" }),
  /** Expiry of new secrets, which a rotation keeps: a lifetime, or a day; both null means never. */
  lifetimeMs: integer("lifetime_ms"),
  endsAt: integer("ends_at", { mode: "timestamp_ms" }),
  /**
   * Version of the secret that signs its webhooks (core/webhook/secret.ts); null: the stage's secret, as for all keys
   * of older versions.
   */
  webhookVersion: integer("webhook_version"),
  /** Until then, webhooks are also signed with the previous secret. */
  webhookOverlapUntil: integer("webhook_overlap_until", { mode: "timestamp_ms" }),
  /** Limits; null is none. */
  requestsPerMinute: integer("requests_per_minute"),
  itemsPerDay: integer("items_per_day"),
  modelSecondsPerDay: integer("model_seconds_per_day"),
  maxRunItems: integer("max_run_items"),
  maxInFlight: integer("max_in_flight"),
  maxStoredBytes: integer("max_stored_bytes"),
  maxStoredObjects: integer("max_stored_objects"),
  /** Days after which the key's work is removed (core/retention/retention.ts); null: as in the stage's setting. */
  retentionDays: integer("retention_days"),
});

/**
 * The secrets of a key: one, or two during a rotation. Only an HMAC is stored, and the first characters for display.
 */
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
    // Each minute a cron job looks for secrets that expire soon.
    index("key_secret_expires_at").on(table.expiresAt),
  ],
);
