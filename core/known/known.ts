import { eq } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import { keyTable } from "#core/key/key.sql";

/**
 * Of a list that came out empty: whether what it was narrowed to is there at all. A typing error would be answered with
 * nothing, as if there were nothing. Full pages cost nothing by it.
 * @throws AppError `invalid_request` for a task that there is not, `not_found` for such a key, `storage_unavailable`.
 */
export async function demand(
  db: Database.Db,
  { taskId, keyId }: { taskId?: string | undefined; keyId?: string | undefined },
): Promise<void> {
  if (taskId !== undefined) {
    const Task = await import("#core/task/task");
    if (Task.get(taskId) === undefined) {
      const { unknownTask } = await import("#core/task/unknown");
      throw invalidRequest([{ path: "task_id", message: unknownTask(taskId, Task.ids()) }]);
    }
  }
  if (keyId === undefined) return;
  const known = db.query.select({ keyId: keyTable.keyId }).from(keyTable).where(eq(keyTable.keyId, keyId));
  if ((await Database.read(known)).length === 0)
    throw new AppError("not_found", "there is no key with this id", { param: "key_id" });
}
