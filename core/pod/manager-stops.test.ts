import { afterEach, describe, expect, test } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import * as Admin from "#core/pod/admin";
import { tick } from "#core/pod/manager";
import { hour, minute, open, type Rig } from "#test/support/pods/rig";

/** Hours of the clock are many looks. */
const slow = { timeout: 120_000 };

let rig: Rig;
afterEach(async () => {
  await rig.check();
  expect(rig.faults).toEqual([]);
  await rig.close();
});

const done = () => rig.left() === 0;
const starts = () => rig.cloud.orders.filter((order) => order.startsWith("start"));
const stops = () => rig.cloud.orders.filter((order) => order.startsWith("stop"));
const is = (state: string) => async () => (await rig.state()) === state;
const asked = () => ({
  now: () => rig.cloud.now,
  db: rig.db,
  podManaged: true,
  costPerHour: undefined,
  log: rig.manager.log,
});

async function served(...given: Parameters<typeof open>): Promise<void> {
  rig = await open(...given);
  await rig.arrive(4);
  await rig.until(done);
}

describe("an idle pod", slow, () => {
  test("is stopped once after the idle time, and what it cost is recorded", async () => {
    rig = await open();
    await rig.arrive(4, 5 * minute);
    await rig.until(done);
    const at = rig.cloud.now;
    await rig.turn(14 * minute);
    expect(stops()).toEqual([]);
    await rig.until(is("stopped"));
    await rig.turn(hour);
    expect({ starts: starts(), stops: stops() }).toEqual({ starts: ["start a"], stops: ["stop a"] });
    const [session, ...others] = await rig.sessions();
    expect(others).toEqual([]);
    expect(session).toMatchObject({ provider: "runpod", podId: "a", ratePerHour: 0.44, endedBy: "idle" });
    expect(Number(session?.endedAt)).toBeLessThan(at + 17 * minute);
    // Five minutes of work, seen in looks a minute apart.
    expect(session?.busyMs).toBeGreaterThanOrEqual(4 * minute);
    expect(session?.busyMs).toBeLessThanOrEqual(6 * minute);
  });

  test("that gets work between the look and the stop is not stopped", async () => {
    await served();
    await rig.turn(14 * minute);
    const { look } = rig.manager.provider;
    let came = false;
    rig.manager.provider = {
      ...rig.manager.provider,
      look: async (id) => {
        const seen = await look(id);
        if (!came && rig.cloud.now >= Number((await rig.row())?.idleSince) + 15 * minute) {
          came = true;
          await rig.arrive(1);
        }
        return seen;
      },
    };
    await rig.until(() => came);
    await rig.until(done);
    expect(stops()).toEqual([]);
    await rig.until(is("stopped"));
  });

  test("gets work while it stops: that waits, and starts it again", async () => {
    await served();
    await rig.until(is("stopping"));
    await rig.arrive(3);
    await rig.until(done);
    expect(rig.cloud.orders).toEqual(["start a", "stop a", "start a"]);
  });

  test("is not stopped in its daily window, and is started in it without work", async () => {
    rig = await open(["a"], { keepWarm: { from: 9 * 60, to: 10 * 60, timeZone: "UTC" } });
    await rig.turn(59 * minute);
    expect(starts()).toEqual([]);
    await rig.turn(55 * minute);
    expect({ state: await rig.state(), stops: stops() }).toEqual({ state: "ready", stops: [] });
    await rig.until(is("stopped"));
    expect(rig.cloud.now).toBeLessThan(Date.UTC(2026, 10, 20, 10, 20));
  });

  test("that cannot be stopped is an orphan, which is reported", async () => {
    await served();
    rig.cloud.pod("a").locked = true;
    await rig.turn(40 * minute);
    expect(rig.alarms()).toContain("orphan");
    rig.cloud.pod("a").locked = false;
    await rig.until(is("stopped"));
  });
});

describe("a pod that changes by itself", slow, () => {
  test("goes down while it serves: what was in flight waits again, one start", async () => {
    await served();
    await rig.arrive(8, 2 * minute);
    await rig.turn(minute);
    rig.cloud.pod("a").status = "EXITED";
    await rig.until(done);
    expect(starts()).toHaveLength(2);
    expect((await rig.sessions()).map(({ endedBy }) => endedBy)).toEqual(["went_down", null]);
  });

  test("was started by somebody else: it is used, and stopped when idle", async () => {
    rig = await open();
    Object.assign(rig.cloud.pod("a"), { status: "STARTING", startedAt: rig.cloud.now });
    await rig.arrive(2);
    await rig.until(done);
    expect(starts()).toEqual([]);
    await rig.until(is("stopped"));
    expect(stops()).toEqual(["stop a"]);
  });

  test("is made anew under another id: the operator names it, and the address follows without a deploy", async () => {
    // The cloud knows it, the settings do not.
    rig = await open(["a", "new"], { podIds: ["a"] });
    await rig.arrive(1);
    await rig.until(done);
    rig.cloud.pod("a").exists = false;
    await rig.arrive(2, minute);
    await rig.until(is("failed"));
    expect(await Admin.choose(asked(), "new")).toMatchObject({ chosen_pod_id: "new" });
    await rig.until(done);
    expect(starts()).toEqual(["start a", "start new"]);
    expect((await rig.row())?.address).toBe(rig.cloud.addressOf("new"));
  });
});

describe("ceilings of a day", slow, () => {
  test.each([
    ["hours", { maxHoursPerDay: 1 }],
    ["dollars", { maxDollarsPerDay: 0.44 }],
  ])("in %s: nothing in flight is cut off, the rest waits for the next day", async (_of, more) => {
    rig = await open(["a"], more);
    await rig.arrive(100, 5 * minute);
    await rig.until(is("stopping"), 3 * hour);
    await rig.turn(minute);
    expect(rig.left()).toBeGreaterThan(0);
    const held = await Breaker.hold(rig.db);
    const nextDay = Date.UTC(2026, 10, 21);
    expect(held?.for).toBe("budget");
    expect(held?.readyAt).toBeGreaterThan(nextDay);
    expect(held?.readyAt).toBeLessThan(nextDay + hour);
    expect(rig.alarms()).toContain("budget");
    const [first] = await rig.sessions();
    expect(Number(first?.endedAt) - Number(first?.startedAt)).toBeLessThan(1.2 * hour);
    rig.cloud.now = nextDay;
    await rig.until(async () => (await rig.state()) === "ready");
    expect(starts()).toHaveLength(2);
  });
});

describe("the operator", slow, () => {
  test("stops the pod when nothing is in flight, and work does not start it until `start`", async () => {
    await served();
    await rig.arrive(2, 3 * minute);
    await rig.turn(minute);
    expect(await Admin.stop(asked())).toMatchObject({ wanted: "off", state: "ready" });
    await rig.until(is("stopped"));
    expect(rig.left()).toBe(0);
    await rig.arrive(1);
    await rig.turn(hour);
    expect(starts()).toHaveLength(1);
    expect(await Admin.get(asked())).toMatchObject({ state: "stopped", waiting_for: "pod", session: null });
    await Admin.start(asked());
    await rig.until(done);
    expect(starts()).toHaveLength(2);
  });

  test("starts the pod without work, and it is stopped after the idle time", async () => {
    rig = await open();
    await rig.turn(minute);
    await Admin.start(asked());
    await rig.until(is("ready"));
    expect(await Admin.get(asked())).toMatchObject({
      ...{ state: "ready", pod_id: "a", start_asked_at: null, waiting_for: null, rate_per_hour: 0.44 },
      session: { provider: "runpod", ready_at: expect.any(String) },
    });
    await rig.turn(13 * minute);
    expect(stops()).toEqual([]);
    await rig.until(is("stopped"));
  });
});

describe("two managers at once", slow, () => {
  test("one of them decides, and one start is ordered", async () => {
    rig = await open();
    await rig.arrive(1);
    const outcomes = await Promise.all(["x", "y", "z"].map((holder) => tick(rig.manager, holder)));
    expect(outcomes.filter((outcome) => outcome === "elsewhere")).toHaveLength(2);
    expect(starts()).toHaveLength(1);
    rig.cloud.now += 3 * minute;
    await rig.until(done);
    expect(starts()).toHaveLength(1);
  });

  test("one that died after it stored a start, before it ordered it: another orders it when its lease is over", async () => {
    rig = await open();
    await rig.arrive(1);
    const { provider } = rig.manager;
    rig.manager.provider = { ...provider, start: () => Promise.reject(new Error("the process ends")) };
    await expect(tick(rig.manager, "dies")).rejects.toThrow();
    rig.manager.provider = provider;
    expect(await tick(rig.manager, "manager")).toBe("elsewhere");
    await rig.until(done);
    expect(starts()).toEqual(["start a"]);
  });
});
