import * as Config from "#core/config";
import { gpuOf } from "#core/cost/gpu";
import * as Parts from "#core/cost/parts";
import type * as Database from "#core/db/database";
import { readOn } from "#spec/prices";
import type { RunCost } from "./cost-schema.ts";
import type { RunRow } from "./run.sql.ts";
import { endedOf } from "./serialize.ts";

const storageParts = new Set(["bucket requests", "bucket storage"]);

type Counted = Pick<
  RunRow,
  "runUid" | "modelMs" | "pages" | "succeeded" | "failed" | "canceled" | "schemaOk"
>;

/**
 * What a run cost so far.
 * @param documentsRight - of its newest evaluation.
 * @returns null where the GPU's price is not known.
 * @throws AppError `storage_unavailable`.
 */
export async function of(
  db: Database.Db,
  row: Counted,
  documentsRight: number | undefined,
  now: Date = new Date(),
): Promise<RunCost | null> {
  const gpu = await gpuOf(db, row, Config.usage().gpuCostPerHour, now);
  if (gpu === undefined) return null;
  const work = { receipts: endedOf(row), pages: row.pages, modelMs: row.modelMs };
  const lines = Parts.ofBatch(work);
  const storage = Parts.sumOf(lines.filter(({ part }) => storageParts.has(part)));
  const aws = Parts.sumOf(lines) - storage;
  const total = gpu.usd + aws + storage;
  const per = (count: number | undefined) => (count ? rounded(total / count) : null);
  return {
    ...{ basis: gpu.basis, provisional: gpu.provisional },
    ...{ gpu: rounded(gpu.usd), gpu_idle: gpu.idle === null ? null : rounded(gpu.idle) },
    ...{ aws: rounded(aws), storage: rounded(storage), total: rounded(total) },
    per_model_second: per(row.modelMs / 1000),
    ...{ per_receipt: per(row.succeeded), per_schema_valid: per(row.schemaOk) },
    ...{ per_correct: per(documentsRight), prices_read_on: readOn },
  };
}

/** A receipt costs a fraction of a cent, and more decimals than these are meaningless. */
const rounded = (usd: number) => Math.round(usd * 1e8) / 1e8;
