import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import * as Key from "#core/key/key";
import { keyTable } from "#core/key/key.sql";
import * as Secret from "#core/webhook/secret";
import { oldSecret, type Rig, secret, start } from "#test/support/webhook-rig";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
beforeEach(() => rig.reset());
afterEach(() => {
  vi.unstubAllEnvs();
  Config.reset();
});

test("while a secret is replaced, receivers with the old one and with the new one verify", async () => {
  rig.environment({ WEBHOOK_SECRET: `${secret},${oldSecret}` });
  await rig.send(await rig.makeRun(), 1);
  const [call] = rig.calls;
  for (const one of [secret, oldSecret])
    expect(() =>
      new Webhook(one).verify(call?.body ?? "", call?.headers as Record<string, string>),
    ).not.toThrow();
});

test("a receiver's secret cannot sign for another key: each key has its own, derived from the stage's, with an overlap", async () => {
  const pepper = "pepper-of-the-webhook-tests";
  for (const keyId of ["new-1", "new-2"]) await Key.create(rig.stores.db, pepper, { keyId, role: "client" });
  const old = { keyId: "old-1", role: "client", scopes: [], createdAt: new Date() } as const;
  await rig.stores.db.query.insert(keyTable).values({ ...old, scopes: [] });
  const secretOf = async (keyId: string) => (await Secret.show(rig.stores.db, [secret], keyId)).secret;
  /** The keys and secrets with which a call may have been signed. */
  const signers = async (keyId: string, secrets: readonly string[]) => {
    rig.calls = [];
    await rig.send(await rig.makeRun({ keyId }), 1);
    const [{ body = "", headers = {} } = {}] = rig.calls;
    return secrets.map((each) => {
      try {
        new Webhook(each).verify(body, headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    });
  };
  const [one, two] = [await secretOf("new-1"), await secretOf("new-2")];
  expect(one).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(await signers("new-1", [one, two, secret])).toEqual([true, false, false]);
  // A key from before keeps the stage's secret until it is rotated. During the overlap both secrets sign.
  expect(await secretOf("old-1")).toBe(secret);
  await Secret.rotate(rig.stores.db, "old-1", 60_000);
  expect(await signers("old-1", [secret, await secretOf("old-1"), one])).toEqual([true, true, false]);
  await Secret.rotate(rig.stores.db, "new-1", 60_000);
  const next = await secretOf("new-1");
  expect(await signers("new-1", [next, one, two, secret])).toEqual([true, true, false, false]);
  // A third secret would drop the one that receivers still rely on, so the command refuses.
  await expect(Secret.rotate(rig.stores.db, "new-1", 60_000)).rejects.toMatchObject({
    code: "conflict",
    details: { reason: "still_overlaps" },
  });
  expect(await signers("new-1", [next, one])).toEqual([true, true]);
  await Secret.rotate(rig.stores.db, "new-1", 0);
  expect(await signers("new-1", [await secretOf("new-1"), next, one])).toEqual([true, false, false]);
  // While the stage's secret is replaced, receivers with the derived old secret still verify.
  rig.environment({ WEBHOOK_SECRET: `${secret},${oldSecret}` });
  const before = Secret.derive(oldSecret, "new-2", 1);
  expect(await signers("new-2", [two, before, oldSecret])).toEqual([true, true, false]);
});
