import { afterEach, describe, expect, test } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import { hour, minute, open, type Rig } from "#test/support/pods/rig";

/** Hours of the clock are many looks. */
const slow = { timeout: 120_000 };

let rig: Rig;
afterEach(async () => {
  await rig.check();
  expect(rig.faults).toEqual([]);
  // Neither a key, nor an address, nor what the provider said of the pod.
  expect(JSON.stringify(rig.events)).not.toMatch(/canary|rpa_|127\.0\.0\.1/i);
  await rig.close();
});

const done = () => rig.left() === 0;
const starts = () => rig.cloud.orders.filter((order) => order.startsWith("start"));
const stops = () => rig.cloud.orders.filter((order) => order.startsWith("stop"));
const isDown = async () => (await rig.state()) === "stopped";

describe("a start", slow, () => {
  test.each([0, 60, 600])(
    "that takes %i s: ordered once, and work goes on when the model serves",
    async (s) => {
      rig = await open();
      Object.assign(rig.cloud.pod("a"), { startMs: (s * 1000) / 3, loadMs: (s * 2000) / 3 });
      await rig.arrive(8);
      await rig.until(done);
      expect(rig.cloud.orders).toEqual(["start a"]);
      expect(rig.cloud.now - Date.UTC(2026, 10, 20, 8)).toBeLessThan(s * 1000 + 4 * minute);
      // A first call that no caller waits for.
      expect(rig.events.filter(({ event, to }) => event === "pod_state" && to === "ready")).toHaveLength(1);
    },
  );

  test("a model server that fails its first call is loading until it answers one", async () => {
    rig = await open();
    rig.cloud.pod("a").coldUntil = rig.cloud.now + 10 * minute;
    await rig.arrive(1);
    await rig.turn(9 * minute);
    expect(await rig.state()).toBe("loading");
    await rig.until(done);
    expect(starts()).toHaveLength(1);
  });

  test("loading is never idle: it is not stopped, however long it takes", async () => {
    rig = await open(["a"], { idleStopMs: 2 * minute });
    rig.cloud.pod("a").loadMs = 40 * minute;
    await rig.arrive(1);
    await rig.turn(40 * minute);
    expect({ state: await rig.state(), stops: stops() }).toEqual({ state: "loading", stops: [] });
    await rig.until(done);
  });

  test("whose answer is lost is not ordered again", async () => {
    rig = await open();
    rig.cloud.losesAnswers = true;
    await rig.arrive(2);
    await rig.until(done);
    expect(starts()).toEqual(["start a"]);
  });

  test("that brings no model server in 45 minutes is stopped, reported, and backs off", async () => {
    rig = await open();
    rig.cloud.pod("a").loadMs = 100 * hour;
    await rig.arrive(1);
    await rig.until(async () => (await rig.state()) === "failed");
    expect(rig.cloud.orders).toEqual(["start a", "stop a"]);
    expect(rig.alarms()).toContain("failed");
    expect((await rig.row())?.reason).toBe("load_timeout");
    rig.cloud.pod("a").loadMs = 0;
    await rig.until(done);
    expect(starts()).toHaveLength(2);
  });

  test("that is refused without a reason fails, and is tried after 2, then 5 minutes", async () => {
    rig = await open();
    rig.cloud.pod("a").starts = "refused";
    await rig.arrive(1);
    await rig.turn(10 * minute);
    const tries = rig.events.filter(({ event, verb }) => event === "pod_order" && verb === "start");
    expect({ state: await rig.state(), tries: tries.length }).toEqual({ state: "failed", tries: 3 });
    rig.cloud.pod("a").starts = "work";
    await rig.until(done);
  });
});

describe("no capacity", slow, () => {
  test("by RunPod's sentence: told from a broken pod, with what the catalog says, and tried after five minutes", async () => {
    rig = await open();
    rig.cloud.pod("a").starts = "no_gpu";
    await rig.arrive(1);
    await rig.turn(4 * minute);
    expect(await rig.state()).toBe("no_capacity");
    expect(rig.alarms()).toContain("no_capacity");
    expect(rig.alarms()).not.toContain("failed");
    rig.cloud.pod("a").starts = "work";
    await rig.until(done);
    expect(starts()).toEqual(["start a"]);
  });

  test("by an order that is taken twice without effect", async () => {
    rig = await open();
    rig.cloud.pod("a").starts = "nothing";
    await rig.arrive(1);
    await rig.until(async () => (await rig.state()) === "no_capacity");
    expect(starts()).toHaveLength(2);
    expect(await rig.row())?.toMatchObject({ reason: "start_without_effect", failures: 0 });
    rig.cloud.pod("a").starts = "work";
    await rig.until(done);
  });

  test("the next of POD_IDS is taken at once, and the address follows it", async () => {
    rig = await open(["a", "b"]);
    rig.cloud.pod("a").starts = "no_gpu";
    await rig.arrive(4);
    await rig.until(done, 10 * minute);
    expect(starts()).toEqual(["start b"]);
    expect((await rig.row())?.address).toBe(rig.cloud.addressOf("b"));
    // The next outage begins with the first pod again.
    rig.cloud.pod("a").starts = "work";
    await rig.until(isDown);
    await rig.arrive(1);
    await rig.until(done);
    expect(starts()).toEqual(["start b", "start a"]);
  });
});

describe("the provider", slow, () => {
  test("away for an hour while work waits: nothing is lost, one start when it is back", async () => {
    rig = await open();
    await rig.turn(minute);
    rig.cloud.away = true;
    await rig.arrive(6);
    await rig.turn(hour);
    expect(rig.alarms()).toContain("provider");
    rig.cloud.away = false;
    await rig.until(done);
    expect(rig.cloud.orders).toEqual(["start a"]);
  });

  test("away for an hour while the pod serves: work goes on, nothing is stopped unseen", async () => {
    rig = await open();
    await rig.arrive(1);
    await rig.until(done);
    rig.cloud.away = true;
    await rig.arrive(40, 3 * minute);
    await rig.turn(hour);
    expect({ left: rig.left(), stops: stops() }).toEqual({ left: 0, stops: [] });
    rig.cloud.away = false;
    await rig.until(isDown);
    expect(stops()).toEqual(["stop a"]);
  });

  test("a wrong key is a clear reason and no storm of questions, and work goes on once it is right", async () => {
    rig = await open();
    rig.cloud.key = "rpa_another_canary";
    await rig.arrive(1);
    await rig.turn(hour);
    expect(await rig.row())?.toMatchObject({ state: "failed", reason: "key_refused" });
    expect(rig.alarms()).toContain("failed");
    expect(rig.cloud.asked).toBeLessThan(8);
    expect(rig.events.find(({ event }) => event === "pod_trouble")).toMatchObject({
      message: "RunPod does not know this API key: it is wrong, disabled or ended",
    });
    rig.cloud.key = "rpa_CANARY0KEY";
    await rig.until(done);
  });

  test("an unknown pod is a clear reason and no storm of questions", async () => {
    rig = await open();
    rig.cloud.pod("a").exists = false;
    await rig.arrive(1);
    await rig.turn(hour);
    expect(await rig.row())?.toMatchObject({ state: "failed", reason: "pod_gone" });
    expect(rig.cloud.asked).toBeLessThan(8);
    rig.cloud.pod("a").exists = true;
    await rig.until(done);
  });

  test("that asks for a pause gets it", async () => {
    rig = await open();
    rig.cloud.busyS = 600;
    await rig.arrive(1);
    await rig.turn(9 * minute);
    expect(rig.cloud.asked).toBe(1);
    rig.cloud.busyS = undefined;
    await rig.until(done);
  });
});

test("what is held says how long, from past starts", slow, async () => {
  rig = await open();
  rig.cloud.pod("a").loadMs = 9 * minute;
  await rig.arrive(1);
  await rig.turn(minute);
  // Before there was a start five minutes are expected.
  const first = await Breaker.hold(rig.db);
  expect(first).toMatchObject({ for: "pod" });
  expect(first?.readyAt).toBeLessThan(rig.cloud.now + 6 * minute);
  await rig.until(done);
  await rig.until(isDown);
  await rig.arrive(1);
  await rig.turn(20_000);
  const expected = ((await Breaker.hold(rig.db))?.readyAt ?? 0) - rig.cloud.now;
  expect(expected).toBeGreaterThan(9 * minute);
  expect(expected).toBeLessThan(11 * minute);
});
