import { eq } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import { keyTable } from "#core/key/key.sql";

/**
 * Checks the filters of an empty list: an unknown task or key is an error, so that a typing error is not answered
 * with an empty list. Lists with entries need no check.
 * @throws AppError `invalid_request` for an unknown task, `not_found` for an unknown key, `storage_unavailable`.
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
