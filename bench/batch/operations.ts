/**
 * Counts on the wire what a run asks of others for each item: requests to the database, the bucket and the queues.
 * Polls and deletions of the mappings are AWS's own and are not counted.
 */
import * as Figures from "../support/figures.ts";
import type { Counted, Rig } from "./rig.ts";

export interface Operations {
  items: number;
  /** Per item, for everything that the run did: its call, its planning, its results. */
  sql_requests: number;
  sql_statements: number;
  s3: Record<string, number>;
  puts: number;
  sqs: Record<string, number>;
  sqs_calls: number;
  /** Items in a minute, with a model server that answers at once. */
  per_minute: number;
}

/** Per item; the bounds come from the design. */
export const goals = { sql_requests: 3, puts: 1, sqs_calls: 2.2 } as const;

/** The most growth from the first size to the last. */
export const maxGrowth = 1.05;

/** Makes a run of this size and waits for its end. */
export async function measure(rig: Rig, items: number, concurrency: number): Promise<Operations> {
  rig.service.ms = 0;
  const before = structuredClone(rig.counted);
  const startedAt = performance.now();
  await rig.ended(await rig.post({ items, concurrency }));
  const minutes = (performance.now() - startedAt) / 60_000;
  return { ...perItem(before, rig.counted, items), per_minute: Math.round(items / minutes) };
}

function perItem(before: Counted, after: Counted, items: number): Omit<Operations, "per_minute"> {
  const of = (from: number, to: number) => Figures.round((to - from) / items, 3);
  const each = (from: Record<string, number>, to: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(to)
        .map(([name, n]) => [name, of(from[name] ?? 0, n)] as const)
        .filter(([, n]) => n > 0),
    );
  const sqs = each(before.sqs, after.sqs);
  const s3 = each(before.s3, after.s3);
  return {
    items,
    sql_requests: of(before.sqlRequests, after.sqlRequests),
    sql_statements: of(before.sqlStatements, after.sqlStatements),
    s3,
    puts: s3.PutObject ?? 0,
    sqs,
    sqs_calls: Figures.round(
      Object.values(sqs).reduce((sum, n) => sum + n, 0),
      3,
    ),
  };
}

/** The largest of the ratios that must not grow. */
export function growth(measured: readonly Operations[]): number {
  const [first, last] = [measured[0], measured.at(-1)];
  if (first === undefined || last === undefined) return Number.NaN;
  const s3 = (one: Operations) => Object.values(one.s3).reduce((sum, n) => sum + n, 0);
  const ratios = [
    last.sql_requests / first.sql_requests,
    last.sql_statements / first.sql_statements,
    s3(last) / s3(first),
    last.sqs_calls / first.sqs_calls,
  ];
  return Figures.round(Math.max(...ratios), 3);
}

/** By the largest run, because the fixed cost of a run is spread over its items. */
export function meetsGoals(measured: readonly Operations[]): boolean {
  const last = measured.at(-1);
  return (
    last !== undefined &&
    last.sql_requests <= goals.sql_requests &&
    last.puts <= goals.puts * maxGrowth &&
    last.sqs_calls <= goals.sqs_calls
  );
}
