/** What `diff` compares: two runs, or two evaluations. */
import * as z from "zod";
import * as Run from "#cli/batch/run";
import * as Evaluate from "#cli/evals/evaluate";
import { CallError } from "#cli/server/call-error";
import type { Server } from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import type * as Read from "#core/evaluation/read";
import * as Id from "#core/id";

/** A run, and its evaluation; undefined if it has none. */
interface Side {
  readonly runId: string;
  readonly evaluation: Read.Shown | undefined;
}

/** An evaluation that may stand for its run. */
const Entry = z.looseObject({
  eval_id: z.string(),
  status: z.string(),
  run_id: z.string(),
  gt_sha256: z.string().nullable(),
  gt_image_key: z.string(),
  rules_version: z.string().nullable(),
  str_mode: z.string(),
  created_at: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
type Entry = z.output<typeof Entry>;
type Candidate = Readonly<
  Record<"eval_id" | "str_mode" | "created_at" | "gt_image_key", string> &
    Record<"gt_sha256" | "rules_version", string | null>
>;

/** Evaluations of a run that are looked at, the newest ones. */
const most = 200;

/**
 * The two evaluations that are compared. An id of an evaluation stands for that one. A run stands for one of its evaluations
 * with figures: of all pairs the newest with the same labels, and among these the newest with the same rules for values;
 * without such a pair each side's newest. If none of a run has figures and one is being made, waits for it. Throws CallError,
 * also for a run whose evaluations all failed.
 */
export async function of(
  context: Context,
  server: Server,
  ids: readonly [string, string],
): Promise<readonly [Side, Side]> {
  const [first, second] = [
    await candidatesOf(context, server, ids[0]),
    await candidatesOf(context, server, ids[1]),
  ];
  const [a, b] = pairOf(first, second);
  for (const [id, chosen, [newest]] of [[ids[0], a, first] as const, [ids[1], b, second] as const])
    if (chosen !== undefined && newest !== undefined && chosen !== newest)
      context.say(
        `${id}: ${chosen.eval_id}, which has the labels of the other side; its newest is ${newest.eval_id}`,
      );
  const side = async (id: string, chosen: Entry | undefined): Promise<Side> => {
    const evaluation = chosen && (await evaluationOf(context, server, chosen.eval_id));
    return { runId: evaluation?.run_id ?? id, evaluation };
  };
  return [await side(ids[0], a), await side(ids[1], b)];
}

/** The best pair: the same labels first, then the same rules, the same way to compare texts, and the newest. */
export function pairOf<E extends Candidate>(
  first: readonly E[],
  second: readonly E[],
): readonly [E | undefined, E | undefined] {
  const rank = (a: E, b: E) => {
    // Labels in files under the data root have no hash here; the server compares them.
    const isSame = a.gt_sha256 !== null && a.gt_sha256 === b.gt_sha256 && a.gt_image_key === b.gt_image_key;
    return [
      Number(isSame),
      Number(isSame && a.rules_version === b.rules_version),
      Number(isSame && a.str_mode === b.str_mode),
      ...[Date.parse(b.created_at), Date.parse(a.created_at)],
    ];
  };
  const pairs = first.flatMap((a) => second.map((b) => ({ pair: [a, b] as const, rank: rank(a, b) })));
  const [best] = pairs.toSorted(
    (one, other) => one.rank.map((part, i) => (other.rank[i] ?? 0) - part).find((by) => by !== 0) ?? 0,
  );
  return best?.pair ?? [first[0], second[0]];
}

/** The evaluations that an id may stand for, newest first; none for a run without any. */
async function candidatesOf(context: Context, server: Server, id: string): Promise<Entry[]> {
  if (Id.evalIdPattern.test(id)) {
    const evaluation = await evaluationOf(context, server, id);
    if (evaluation !== undefined) return [evaluation];
  }
  const entries: Entry[] = [];
  const query = { run_id: id };
  const options = { query, limit: most, signal: context.signal, schema: Entry };
  try {
    for await (const entry of Run.list<Entry>(server, "/v1/evals", options)) entries.push(entry);
  } catch (error) {
    throw error instanceof CallError && error.code === "not_found" ? unknown(id) : error;
  }
  const of = (status: string) => entries.filter((entry) => entry.status === status);
  const measured = of("succeeded");
  const [waiting] = of("running");
  if (measured.length > 0) {
    if (waiting !== undefined && waiting === entries[0])
      context.say(`${id}: ${waiting.eval_id} is being made and is not compared`);
    return measured;
  }
  if (waiting !== undefined) {
    const evaluation = await evaluationOf(context, server, waiting.eval_id);
    return evaluation === undefined ? [] : [evaluation];
  }
  const error = of("failed")[0]?.error;
  if (!error) return [];
  throw new CallError(`the evaluation of ${id} failed: ${error.message} (${error.code})`, {
    scope: "item",
    code: error.code,
  });
}

/** The server's message does not say which of the two ids is unknown. */
const unknown = (id: string) =>
  new CallError(`there is neither a run nor an evaluation ${Text.shown(id)} (not_found)`, {
    ...{ scope: "item", code: "not_found", status: 404 },
  });

/** An evaluation with its figures; undefined if the id is unknown. Waits for one that is in progress. */
async function evaluationOf(context: Context, server: Server, id: string): Promise<Read.Shown | undefined> {
  try {
    return await Evaluate.wait(context, server, `/v1/evals/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof CallError && error.code === "not_found") return undefined;
    throw error;
  }
}

/** The error for two sides of which only one was evaluated. Throws CallError. */
export async function oneSided(
  context: Context,
  server: Server,
  [first, second]: readonly [Side, Side],
): Promise<UsageError> {
  const [without, other] = first.evaluation === undefined ? [first, second] : [second, first];
  const run = await Run.get(server, { runId: without.runId }, context.signal);
  if (!Run.hasEnded(run))
    return new UsageError(
      `${without.runId} has not ended (${run.status}), and has no evaluation yet: npm run ocrlty -- batch --resume ${without.runId} waits for it`,
    );
  const labels = other.evaluation?.gt_id ?? "LABELS";
  return new UsageError(
    `${without.runId} has no evaluation, ${other.runId} has one: npm run ocrlty -- eval ${without.runId} --gt ${labels}`,
  );
}
