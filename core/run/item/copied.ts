import type { ItemRow, RunRow } from "#core/run/run.sql";
import { isKept, keptPrefix } from "#core/run/source/kept";

/**
 * True if the run needs its own copy of the picture: it keeps its inputs, and the picture may be removed before the
 * run is. That holds for uploads, for URLs, and for another run's copy that an item of a rerun names. Files under the
 * data root belong to the caller and are not copied.
 */
export const isCopied = (run: RunRow, { sourceKind, objectKey }: ItemRow): boolean =>
  run.persistInputs &&
  (sourceKind === "upload" ||
    sourceKind === "url" ||
    (objectKey !== null && isKept(objectKey) && !objectKey.startsWith(keptPrefix(run))));
