import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client/http";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as SqlServer from "#local/sql/server";
import * as Plans from "./plans.ts";

/** A migrated database behind the local loop's libSQL server, spoken to with the client that functions use. */
export async function start(): Promise<{
  db: Database.Db;
  url: string;
  authToken: string;
  close(): Promise<void>;
}> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-db-"));
  const authToken = "test-token";
  const server = await SqlServer.start({ file: join(dir, "test.db"), authToken });
  const client = createClient({ url: server.url, authToken });
  Plans.watch(client);
  const db = Database.wrap(client);
  await migrate(db);
  return {
    db,
    url: server.url,
    authToken,
    close: async () => {
      client.close();
      await server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
