import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client/web";
import { afterEach, beforeEach } from "vitest";
import { type SqlOptions, type SqlServer, start } from "#local/sql/server";

/** A folder for each test, and what the test started in it, ended in reverse order. */
export interface Workspace {
  dir: string;
  file: string;
  serve(more?: Partial<SqlOptions>): Promise<SqlServer>;
  /** The client as the functions use it. */
  clientOf(url: string, authToken?: string): Client;
  atEnd(undo: () => unknown): void;
}

export function useWorkspace(): Workspace {
  let cleanup: (() => unknown)[] = [];
  const workspace: Workspace = {
    dir: "",
    file: "",
    serve: async (more = {}) => {
      const server = await start({ file: workspace.file, ...more });
      cleanup.push(() => server.close());
      return server;
    },
    clientOf: (url, authToken) => {
      const client = createClient({
        url,
        intMode: "bigint",
        ...(authToken === undefined ? {} : { authToken }),
      });
      cleanup.push(() => client.close());
      return client;
    },
    atEnd: (undo) => void cleanup.push(undo),
  };
  beforeEach(async () => {
    workspace.dir = await mkdtemp(join(tmpdir(), "ocrlty-sql-"));
    workspace.file = join(workspace.dir, "db.sqlite");
  });
  afterEach(async () => {
    for (const undo of cleanup.reverse()) await undo();
    cleanup = [];
    await rm(workspace.dir, { recursive: true, force: true, maxRetries: 5 });
  });
  return workspace;
}
