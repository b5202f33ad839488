import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** What was announced as an upload, and which version of it was read first. */
export const uploadTable = sqliteTable(
  "upload",
  {
    /** The `image_ref` that callers see; random, so that it cannot be guessed. */
    ref: text("ref").primaryKey(),
    keyId: text("key_id").notNull(),
    kind: text("kind", { enum: ["image", "manifest", "data", "ground_truth"] }).notNull(),
    objectKey: text("object_key").notNull(),
    mimeType: text("mime_type").notNull(),
    bytes: integer("bytes").notNull(),
    /** The caller's name for it, if one was given. */
    file: text("file"),
    /** The version at the first read; null until then. Every later read demands it. */
    etag: text("etag"),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    /** From then on it may be removed, even if it was never filled. */
    keepUntil: integer("keep_until", { mode: "timestamp_ms" }).notNull(),
  },
  (table) => [index("upload_keep_until").on(table.keepUntil), index("upload_key_id").on(table.keyId)],
);
