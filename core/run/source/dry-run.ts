import { AppError, type Issue, invalidRequest } from "#core/error";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import { reachesAll } from "#core/key/visible";
import type { Log } from "#core/log";
import type { DryRun } from "#core/run/dry-run";
import type { EvaluateBy } from "#core/run/evaluate-by";
import type { RunStores } from "#core/run/services";
import * as Width from "#core/run/slots/width";
import * as Allowance from "#core/usage/allowance";
import * as Webhook from "#core/webhook/webhook";
import * as Begin from "./begin.ts";
import * as Create from "./create.ts";
import * as Labels from "./labels.ts";

/** Time that is kept for the answer. */
const reserveMs = 2_000;

/**
 * Checks all of a call that would make a run, and makes none: the id, the task, the address of a webhook, the labels with
 * all of their records, and the source if there is one. Its uploads are pinned to the versions that were read, as by the
 * call itself. An Idempotency-Key is left alone. Limits that pass with time (pictures a day, runs in flight) are not looked
 * at, because they may be others when the call itself comes.
 * @throws what `create` throws for the same call, and what `Read.records` throws for the labels; their own mistakes are at
 *   `gt_id` or `gt_path`.
 */
export async function dryRun(
  services: RunStores,
  log: Log,
  input: Create.BatchInput,
  { principal, deadline }: Begin.Caller,
): Promise<DryRun> {
  await Begin.checkTask(input.task_id);
  const caller = { principal, deadline, idempotencyKey: undefined };
  const wish = { runId: input.run_id, payload: Create.payloadOf(input) };
  const { known } = await Begin.identify(services, wish, caller);
  if (input.webhook_url !== undefined) await Webhook.check(input.webhook_url, log, deadline);
  const evaluateBy = await Labels.check(services, log, input, principal);
  const { concurrency } = Width.asked(services, input.concurrency, principal);
  const tooWide = Allowance.overConcurrency(principal, concurrency);
  if (tooWide !== undefined) throw tooWide;
  const { items, skipped } = await sourceOf(services, log, input, caller);
  const tooMany = Allowance.overRunSize(principal, items ?? 0);
  if (tooMany !== undefined) throw tooMany;
  const labels = evaluateBy === null ? null : await labelsOf(services, log, evaluateBy, caller);
  return { dry_run: true, is_known: known !== undefined, items, skipped, labels };
}

/** The number of items; null without a source, and for one that the planner would check after the call. */
async function sourceOf(
  services: RunStores,
  log: Log,
  input: Create.BatchInput,
  caller: Begin.Caller,
): Promise<Pick<DryRun, "items" | "skipped">> {
  const { images_dir } = input;
  if (images_dir !== undefined) {
    const viewer = { keyId: caller.principal.keyId, allKeys: reachesAll(caller.principal) };
    const { list } = await import("./folder.ts");
    const folder = { ...input, images_dir };
    const { found, skipped } = await list(services, log, folder, { viewer, deadline: caller.deadline });
    return { items: found.length, skipped };
  }
  if (input.manifest === undefined && input.manifest_ref === undefined) return { items: null, skipped: null };
  const source = await Create.read(services, log, input, caller);
  return { items: "pictures" in source ? source.pictures.length : null, skipped: null };
}

async function labelsOf(
  services: RunStores,
  log: Log,
  by: EvaluateBy,
  { principal, deadline }: Begin.Caller,
): Promise<DryRun["labels"]> {
  const gtId = "gt_id" in by ? by.gt_id : undefined;
  const row = gtId === undefined ? undefined : await GroundTruth.byId(services.db, gtId);
  const said = { gt_id: gtId ?? null, name: row?.name ?? null };
  // A stored ground truth was checked completely when it was stored, with this member.
  if (row?.imageKey === by.image_key) return { ...said, records: row.records };
  // The parsers are loaded only for these calls.
  const RunLabels = await import("#core/run/labels");
  const wanted = await RunLabels.labelsOf(services, log, { keyId: principal.keyId, evaluateBy: by });
  let records = 0;
  try {
    for await (const _ of wanted?.records() ?? []) {
      if (Date.now() > deadline - reserveMs) return { ...said, records: null };
      records += 1;
    }
  } catch (thrown) {
    throw placed(thrown, gtId === undefined ? "gt_path" : "gt_id");
  }
  return { ...said, records };
}

/** The same error, at the field of the body that names the labels. */
function placed(thrown: unknown, field: string): unknown {
  if (!(thrown instanceof AppError) || thrown.code !== "invalid_request") return thrown;
  const { issues = [], issue_count: count, ...details } = thrown.details ?? {};
  const found = (issues as Issue[]).map((issue) =>
    issue.path === "content" ? { ...issue, path: field } : issue,
  );
  const more =
    typeof count === "number" ? { count, details: { ...details, issue_count: count } } : { details };
  return invalidRequest(found, more);
}
