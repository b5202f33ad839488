import { type SQL, sql } from "drizzle-orm";
import { extractTable as extract } from "./extract.sql.ts";

/* Conditions about the extracts of all keys, written out as in the partial indexes that answer them. */

/** A call or a worker has an extract, and may be at the model server with it. @param now - epoch milliseconds. */
export const inFlight = (now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM ${extract} WHERE status = 'running' AND lease_until > ${now})`;

/** An extract waits in the queue, for the model server, or because its worker died. */
export const waiting = (): SQL =>
  sql`(EXISTS (SELECT 1 FROM ${extract} WHERE status = 'queued')
    OR EXISTS (SELECT 1 FROM ${extract} INDEXED BY extract_in_flight WHERE status = 'running' AND input IS NOT NULL))`;
