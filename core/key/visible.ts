import { AppError } from "#core/error";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import type { Principal } from "./key.ts";

/** With this scope a key reads, cancels and deletes other keys' objects, and writes below `shared/`. */
const allKeys = "admin:all_keys";

/** True if the caller may access other keys' objects. The role is only a name (core/key/role.ts). */
export function reachesAll(principal: Pick<Principal, "scopes">): boolean {
  return principal.scopes.includes(allKeys);
}

/** The action and its object; logged if the object belongs to another key. */
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
 * The key whose objects a call concerns: the caller's own; with the scope `admin:all_keys` the named one, or all
 * (undefined) if `all` is set and none is named. Access to another key's is logged as `other_key_access`.
 * @throws AppError `not_found` for any other key, whether it exists or not.
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

/** Logs access to another key's object; `owner` undefined means all keys. Names and ids only. */
export function note(by: string, owner: string | undefined, { log, action, what, id }: Access): void {
  if (owner === by) return;
  log.info("other_key_access", {
    by_key_id: by,
    // A text that is not a valid id belongs to no key and may contain anything, so it is not logged.
    key_id: owner === undefined ? "*" : Id.isRequestId(owner) ? owner : "(no id)",
    action,
    what,
    id: id !== undefined && Id.isReadableId(id) ? id : undefined,
  });
}
