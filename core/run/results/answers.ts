import { answered } from "#core/reading/parts/answered";
import type { Artifact } from "#core/reading/schema";
import type { RunRow } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import * as Serialize from "#core/run/serialize";
import type * as Task from "#core/task/task";
import type { Row } from "./document.ts";

/*
 * Adds the fields that an item's row does not hold to its answer, so that it matches the answer of a single extract.
 * The row holds only the result. The rest is in the artifact, as it was on that day, or is computed again. of(…)
 * from the artifact recomputed(…) from the row completed(…)  from a line of the items' file, which may be older than
 * this code
 */

export type About = Pick<RunRow, "runId" | "taskId" | "createdAt">;

/** The values for a failure before the model was asked (`askedNobody`), and for an item that has not ended. */
const nothing = { schema_errors: [], normalized: {}, checks: [] } as const satisfies Partial<Item>;
const unknown = { schema_errors: null, normalized: null, checks: null } as const satisfies Partial<Item>;

/** The item from its artifact. Fields that an old artifact lacks are computed from its result. */
export async function of(run: About, row: Row, artifact: Artifact): Promise<Item> {
  const { result, model, prompt_sha256, schema_sha256, image_sha256 } = artifact;
  const item: Item = { ...Serialize.item(run, row), result };
  const known: Partial<Artifact> = artifact;
  const computed =
    known.schema_errors === undefined || known.normalized === undefined || known.checks === undefined
      ? await examined(run, item)
      : nothing;
  return {
    ...item,
    schema_errors: known.schema_errors ?? computed.schema_errors,
    normalized: known.normalized ?? computed.normalized,
    checks: known.checks ?? computed.checks,
    ...(artifact.rows === undefined ? {} : { complete: artifact.complete ?? null, rows: artifact.rows }),
    ...(artifact.documents === undefined ? {} : { documents: answered(artifact.documents) }),
    ...(artifact.quality === undefined ? {} : { quality: artifact.quality }),
    ...(artifact.embedded === undefined ? {} : { embedded: artifact.embedded }),
    model: model ?? null,
    prompt_sha256: prompt_sha256 ?? null,
    schema_sha256: schema_sha256 ?? null,
    image_sha256: image_sha256 ?? null,
  };
}

/** The item from its row, with fields that are computed from the result. Fields that only the artifact has are null. */
export async function recomputed(run: About, row: Row): Promise<Item> {
  const item = Serialize.item(run, row);
  const task = row.modelCalls > 0 ? await taskOf(run) : undefined;
  return {
    ...item,
    ...(await examined(run, item)),
    prompt_sha256: task?.promptSha256 ?? null,
    schema_sha256: task?.schemaSha256 ?? null,
  };
}

/** The item from a line of the items' file. Fields that an old line lacks are computed from its result. */
export async function completed(run: About, written: Item): Promise<Item> {
  const known: Partial<Item> = written;
  if (known.normalized !== undefined && known.checks !== undefined && known.schema_errors !== undefined)
    return written;
  const absent = {
    ...{
      tags: null,
      warnings: [],
      pages: null,
      model: null,
      prompt_sha256: null,
      schema_sha256: null,
      image_sha256: null,
    },
  };
  return { ...absent, ...written, task_id: run.taskId, ...(await examined(run, written)) };
}

// The module that knows tasks, currencies and dates. The API loads it with the first list, to keep cold starts short.
async function taskOf({ taskId }: About): Promise<Task.Task | undefined> {
  return (await import("#core/task/task")).get(taskId);
}

async function examined(
  run: About,
  item: Item,
): Promise<Pick<Item, "schema_errors" | "normalized" | "checks">> {
  if (item.result === null) return hasResult(item) ? unknown : nothing;
  const task = await taskOf(run);
  if (task === undefined) return unknown;
  const Examine = await import("#core/reading/examine");
  const { schema_errors, normalized, checks } = Examine.whole(
    { task, createdAt: run.createdAt },
    item.result,
  );
  // Only the artifact says which list is incomplete, and the sums of an incomplete list would report a fault that the
  // paper does not have.
  return item.complete === false && item.status !== "succeeded"
    ? { schema_errors: [], normalized, checks: null }
    : { schema_errors, normalized, checks };
}

/** True if a result exists, in the row or elsewhere. */
export function hasResult({ status, complete }: Pick<Item, "status" | "complete">): boolean {
  return status === "succeeded" || complete === false;
}
