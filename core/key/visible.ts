import { AppError } from "#core/error";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import type { Principal } from "./key.ts";

/** With this scope a key reads, cancels and deletes what belongs to others, and writes below `shared/`. */
const allKeys = "admin:all_keys";

/** Whether a caller's reach goes beyond its own things. The role is only a name (core/key/role.ts). */
export function reachesAll(principal: Pick<Principal, "scopes">): boolean {
  return principal.scopes.includes(allKeys);
}

/** What is done to which thing; logged where the thing belongs to another key. */
export interface Access {
  log: Log;
  action: "read" | "cancel" | "delete";
  what:
    | "run"
    | "runs"
    | "extract"
    | "extracts"
    | "upload"
    | "artifacts"
    | "usage"
    | "data"
    | "ground_truth"
    | "ground_truths"
    | "evaluation"
    | "evaluations";
  id?: string | undefined;
}

/**
 * The key whose things a caller means: its own, or with the scope `admin:all_keys` the one it names, or everybody's
 * (undefined) when `all` is set and it names none. Reaching for another's is logged as `other_key_access`.
 * @throws AppError `not_found` for any other key's, whether that key exists or not.
 */
export function visibleKey(
  principal: Principal,
  keyId: string | undefined,
  access: Access,
  options: { all: true },
): string | undefined;
export function visibleKey(principal: Principal, keyId: string | undefined, access: Access): string;
export function visibleKey(
  principal: Principal,
  keyId: string | undefined,
  access: Access,
  options?: { all: true },
): string | undefined {
  if (reachesAll(principal)) {
    const owner = keyId ?? (options?.all ? undefined : principal.keyId);
    note(principal.keyId, owner, access);
    return owner;
  }
  if (keyId !== undefined && keyId !== principal.keyId)
    throw new AppError("not_found", "there is nothing with this id", { param: "key_id" });
  return principal.keyId;
}

/** Writes down that a key reaches for another's things; `owner` undefined is everybody. Names and ids alone. */
export function note(by: string, owner: string | undefined, { log, action, what, id }: Access): void {
  if (owner === by) return;
  log.info("other_key_access", {
    by_key_id: by,
    // A text that is not an id belongs to no key, and may be anything.
    key_id: owner === undefined ? "*" : Id.isRequestId(owner) ? owner : "(no id)",
    action,
    what,
    id: id !== undefined && Id.isReadableId(id) ? id : undefined,
  });
}
