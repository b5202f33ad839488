import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { expect, test } from "vitest";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import { fuzz } from "#test/soak/fuzz";
import { startLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

const calls = Number(process.env.FUZZ_CALLS) || 10_000;
const seed = Number(process.env.FUZZ_SEED) || 1;
const pepper = "pepper-for-the-fuzz";

test(`${calls} calls made of the OpenAPI document: no 500, 502 to 504 only after a fault, no answer outside its schema`, async () => {
  const data = await mkdtemp(join(tmpdir(), "ocrlty-fuzz-"));
  for (const [i, name] of ["a.jpg", "b.jpg"].entries())
    await writeFile(join(data, name), await picture(i + 1));
  const model = await ModelServer.start({ model: "scripted" });
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", API_KEY_PEPPER: pepper };
  const loop = await startLoop({ env: { ...env, DATA_ROOT: data, WEBHOOK_ALLOW_PRIVATE: "1" } });
  const client = createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 });
  try {
    const db = Database.wrap(client);
    const made = async (keyId: string, limits?: Parameters<typeof Key.create>[2]["limits"]) =>
      (await Key.create(db, pepper, { keyId, role: "client", ...(limits ? { limits } : {}) })).api_key;
    const keys = {
      admin: loop.apiKey,
      client: await made("client"),
      limited: await made("limited", {
        requestsPerMinute: 20,
        itemsPerDay: 50,
        modelSecondsPerDay: null,
        maxRunItems: 1,
      }),
    };
    const found = await fuzz(loop, model, keys, { calls, seed, parallel: 4, faultEvery: 1_000 });
    console.info(JSON.stringify(found.statuses, undefined, 1));
    expect(found.wrong).toEqual([]);
    expect(found.calls).toBe(calls);
  } finally {
    client.close();
    await loop.close();
    await model.close();
    await rm(data, { recursive: true, force: true });
  }
});
