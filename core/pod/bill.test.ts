import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { podSessionTable } from "#core/cost/pod-session.sql";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as TestDatabase from "#test/support/test-database";
import * as Bill from "./bill.ts";
import * as Runpod from "./runpod.ts";

const podId = "xedezhzb9la3ye";
const day = "2026-11-23";
const at = (text: string) => new Date(`${text}Z`);
/** The next day, when the bill is looked at. */
const look = at("2026-11-24T06:30:20").getTime();

/** Two sessions of the day, one of which began the evening before, and one of the next day, at 0.50 an hour. */
const spans = [
  ["2026-11-22T23:30:00", "2026-11-23T00:40:13"],
  ["2026-11-23T08:00:00", "2026-11-23T09:20:41"],
  ["2026-11-23T14:05:07", "2026-11-23T14:35:30"],
  ["2026-11-24T01:00:00", "2026-11-24T02:00:00"],
] as const;
const rate = 0.5;

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let server: http.Server;
let db: Database.Db;
/** How the provider rounds a span, in seconds. */
let rounded: (seconds: number) => number;
let refuses: number | undefined;
let seen: string[] = [];
let events: { event: string; fields: Record<string, unknown> }[] = [];

beforeAll(async () => {
  database = await TestDatabase.start();
  db = database.db;
  server = http.createServer((request, response) => {
    seen.push(request.url ?? "");
    response.writeHead(refuses ?? 200, { "content-type": "application/json" });
    response.end(
      JSON.stringify(refuses === undefined ? billing(new URL(request.url ?? "", "http://x")) : {}),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  server.close();
  await database.close();
});
beforeEach(async () => {
  rounded = (seconds) => seconds;
  refuses = undefined;
  seen = [];
  events = [];
  for (const table of ["setting", "pod_session"]) await db.client.execute(`DELETE FROM "${table}"`);
  const rows = spans.map(([from, to], i) => ({
    ...{ id: `s${i}`, provider: "runpod", podId, ratePerHour: rate },
    ...{ startedAt: at(from), endedAt: at(to) },
  }));
  await Database.batch(db, [db.query.insert(podSessionTable).values(rows)]);
});

/** RunPod's answer: the spans within the asked time, rounded, and 0.20 for the disk. */
function billing({ searchParams }: URL) {
  const [from, to] = ["startTime", "endTime"].map((name) => Date.parse(searchParams.get(name) ?? ""));
  const seconds = spans.map(([a, b]) =>
    rounded(Math.max(0, Math.min(at(b).getTime(), to ?? 0) - Math.max(at(a).getTime(), from ?? 0)) / 1000),
  );
  const gpuAmount = (seconds.reduce((sum, span) => sum + span, 0) / 3_600) * rate;
  const amounts = { totalAmount: gpuAmount + 0.2, gpuAmount, cpuAmount: 0, diskAmount: 0.2 };
  return { records: [{ ...amounts, podId }], metadata: {} };
}

async function check(now = look, podIds: string[] = [podId]) {
  const { port } = server.address() as AddressInfo;
  const runpod = { apiUrl: `http://127.0.0.1:${port}/v2`, apiKey: "rpa_key", timeoutMs: 5_000 };
  const note = (event: string, fields: Record<string, unknown> = {}) => void events.push({ event, fields });
  const log = { info: note, warn: note } as unknown as Log;
  return await Bill.check({ db, provider: Runpod.provider(runpod), log }, podIds, now);
}
const alarms = () => events.filter(({ event }) => event === "pod_alarm").map(({ fields }) => fields);

// 40:13, 1:20:41 and 30:23 are of that day.
const counted = ((40 * 60 + 13 + 80 * 60 + 41 + 30 * 60 + 23) / 3_600) * rate;

test.each([
  ["second", (seconds: number) => seconds],
  ["minute", (seconds: number) => Math.ceil(seconds / 60) * 60],
])("a provider that bills each %s agrees with the sessions", async (_name, how) => {
  rounded = how;
  expect(await check()).toMatchObject({
    day,
    counted: expect.closeTo(counted, 9),
    disk: 0.2,
    differs: false,
  });
  expect(alarms()).toEqual([]);
});

test("a provider that rounds each span up to an hour differs, and is reported", async () => {
  rounded = (seconds) => Math.ceil(seconds / 3_600) * 3_600;
  expect(await check()).toMatchObject({ billed: 4 * rate, differs: true });
  expect(alarms()).toEqual([expect.objectContaining({ alarm: "bill", day, billed_usd: 2 })]);
});

test("a pod that ran unseen is reported", async () => {
  await db.client.execute("DELETE FROM pod_session WHERE id = 's2'");
  expect(await check()).toMatchObject({ differs: true });
});

test("a day is compared once, not before it is settled, and again after a refusal", async () => {
  for (const early of ["2026-11-24T05:30:00", "2026-11-24T06:29:59", "2026-11-24T06:31:00"])
    expect(await check(at(early).getTime())).toBeUndefined();
  expect(seen).toEqual([]);
  refuses = 401;
  expect(await check()).toBeUndefined();
  expect(events).toEqual([
    { event: "pod_trouble", fields: expect.objectContaining({ verb: "billed", code: "forbidden" }) },
  ]);
  refuses = undefined;
  expect(await check(at("2026-11-24T07:30:00").getTime())).toMatchObject({ day });
  expect(await check(at("2026-11-24T08:30:00").getTime())).toBeUndefined();
  expect(seen).toHaveLength(2);
});
