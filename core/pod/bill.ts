import { and, eq, gt, isNull, lt, or } from "drizzle-orm";
import { podSessionTable as session } from "#core/cost/pod-session.sql";
import * as Database from "#core/db/database";
import { settingTable } from "#core/db/setting.sql";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Provider } from "./provider.ts";
import { dayMs, dayOf, spentWithin } from "./spent.ts";

/*
 * Once a day the sessions of the day before are laid beside the provider's own bill: what receipts cost is computed from
 * sessions, so a pod that ran unseen, or another price, would make every figure wrong.
 */

/** Bills are not complete at midnight. */
const settledHours = 6;
/** Once an hour at most: the provider may be away, or refuse the key. */
const atMinute = 30;
/** The share by which a bill may differ, and dollars below which no difference is reported. */
const tolerance = { share: 0.02, usd: 0.05 } as const;
/** No session is longer. */
const longestDays = 366;
const settingName = "pod_bill_day";

interface Checked {
  day: string;
  /** Dollars of the sessions, within the day. */
  counted: number;
  /** What the provider asks for the time that the pods ran. */
  billed: number;
  /** What it asks for their disks, which no session holds. */
  disk: number;
  differs: boolean;
}

/**
 * Compares the day before, if that was not done and it is time for it. Logs `pod_bill`, and `pod_alarm` if the sum differs.
 * @param podIds - pods that have no session of that day but may have run.
 * @param now - epoch milliseconds.
 * @returns undefined if nothing was compared. @throws AppError `storage_unavailable`.
 */
export async function check(
  { db, provider, log }: { db: Database.Db; provider: Provider; log: Log },
  podIds: readonly string[],
  now: number,
): Promise<Checked | undefined> {
  const at = new Date(now);
  if (provider.billed === undefined || at.getUTCHours() < settledHours || at.getUTCMinutes() !== atMinute)
    return undefined;
  const from = new Date(dayOf(now) - dayMs);
  const to = new Date(dayOf(now));
  const earliest = new Date(from.getTime() - longestDays * dayMs);
  const day = from.toISOString().slice(0, 10);
  const { known, sessions } = await Database.batch(
    db,
    {
      known: db.query.select().from(settingTable).where(eq(settingTable.name, settingName)),
      sessions: db.query
        .select()
        .from(session)
        .where(
          and(
            gt(session.startedAt, earliest),
            lt(session.startedAt, to),
            or(isNull(session.endedAt), gt(session.endedAt, from)),
          ),
        ),
    },
    "read",
  );
  if (Database.rows(settingTable, known)[0]?.value === day) return undefined;
  const rows = Database.rows(session, sessions).filter((row) => row.provider === provider.name);
  const bills = await billsOf(
    provider,
    [...new Set([...podIds, ...rows.map(({ podId }) => podId)])],
    from,
    log,
  );
  if (bills === undefined) return undefined;
  const { dollars: counted } = spentWithin(rows, { from: from.getTime(), to: to.getTime() }, undefined);
  const billed = bills.reduce((sum, { runningUsd }) => sum + runningUsd, 0);
  const disk = bills.reduce((sum, { diskUsd }) => sum + diskUsd, 0);
  const difference = Math.abs(billed - counted);
  const differs = difference > tolerance.share * Math.max(billed, counted) && difference > tolerance.usd;
  log.info("pod_bill", { day, counted_usd: counted, billed_usd: billed, disk_usd: disk });
  if (differs) log.warn("pod_alarm", { alarm: "bill", day, counted_usd: counted, billed_usd: billed });
  await Database.batch(db, [
    db.query
      .insert(settingTable)
      .values({ name: settingName, value: day })
      .onConflictDoUpdate({ target: settingTable.name, set: { value: day } }),
  ]);
  return { day, counted, billed, disk, differs };
}

/** @returns undefined if the provider gives no bill now. */
async function billsOf(provider: Provider, podIds: readonly string[], day: Date, log: Log) {
  try {
    const bills = [];
    for (const podId of podIds) bills.push(await provider.billed?.(podId, day));
    return bills.filter((bill) => bill !== undefined);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    log.warn("pod_trouble", { verb: "billed", code: thrown.code, message: thrown.message });
    return undefined;
  }
}
