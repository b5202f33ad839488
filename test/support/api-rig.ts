import { createClient } from "@libsql/client";
import { expect } from "vitest";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import { type Answer, type CallOptions, startLoop, type TestLoop } from "./loop.ts";
import * as ModelServer from "./model-server/model-server.ts";
import { base64 } from "./pictures.ts";

/** The answer of the scripted model for every picture. */
export const fields = {
  total: "12.00",
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  ...{ discount: null, cash: null, card: null, change: null },
};
const pepper = "pepper-for-end-to-end-tests";

export type NewKey = Partial<Parameters<typeof Key.create>[2]>;

/** A loop with a scripted model server, for tests of single calls. */
export interface Rig {
  readonly loop: TestLoop;
  readonly model: ModelServer.ModelServer;
  readonly db: Database.Db;
  /** While true, every statement fails. */
  databaseAway: boolean;
  /** Calls `POST /v1/extract` with a picture, unless `json` has another. */
  extract(json: Record<string, unknown>, options?: CallOptions): Promise<Answer>;
  /** Makes a key and returns it as its owner sends it. */
  newKey(keyId: string, more?: NewKey): Promise<string>;
  /** Runs calls that must not reach the model. */
  withoutModel<T>(run: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Starts the loop; it takes seconds, so a file starts it once. */
export async function start(): Promise<Rig> {
  const model = await ModelServer.start({ respond: () => ModelServer.json(fields) });
  const state = { databaseAway: false };
  const loop = await startLoop({
    env: {
      VLLM_BASE_URL: model.url,
      VLLM_MODEL: "scripted",
      VLLM_API_KEY: "model-key",
      API_KEY_PEPPER: pepper,
      CORS_ALLOW_ORIGINS: "https://app.example",
    },
    onRequest: {
      sql: () => {
        if (state.databaseAway) throw new Error("away");
      },
    },
  });
  const client = createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 });
  const db = Database.wrap(client);
  return Object.assign(state, {
    ...{ loop, model, db },
    extract: async (json: Record<string, unknown>, options: CallOptions = {}) =>
      loop.call("/v1/extract", { ...options, json: { image_base64: await base64(), ...json } }),
    newKey: async (keyId: string, more: NewKey = {}) =>
      (await Key.create(db, pepper, { keyId, role: "client", ...more })).api_key,
    withoutModel: async <T>(run: () => Promise<T>) => {
      const before = model.requests.length;
      const result = await run();
      expect(model.requests.length).toBe(before);
      return result;
    },
    close: async () => {
      client.close();
      await loop.close();
      await model.close();
    },
  });
}

/** The error of an answer's envelope. */
export const errorOf = (answer: Answer) =>
  (
    answer.body as {
      error: {
        code: string;
        message: string;
        param: string | null;
        request_id: string;
        doc_url: string;
        details: Record<string, unknown>;
      };
    }
  ).error;

export const bodyOf = (answer: Answer) => answer.body as Record<string, unknown>;
