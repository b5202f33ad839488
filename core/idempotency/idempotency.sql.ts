import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** `Idempotency-Key` → the id that it created, for 24 hours. */
export const idempotencyTable = sqliteTable(
  "idempotency",
  {
    keyId: text("key_id").notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    resourceId: text("resource_id").notNull(),
    payloadHash: text("payload_hash").notNull(),
    expiresAt: integer("expires_at", { mode: "timestamp_ms" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.idempotencyKey] }),
    index("idempotency_expires_at").on(table.expiresAt),
  ],
);
