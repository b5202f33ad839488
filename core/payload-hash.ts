import { createHash } from "node:crypto";

/** sha256 in hex over all that determines an answer: the same id with another hash is a conflict. */
export function hashOf(what: unknown): string {
  return createHash("sha256").update(JSON.stringify(what)).digest("hex");
}
