import { AppError } from "#core/error";
import type { Principal } from "./key.ts";

/**
 * The key whose runs and artifacts a caller may see: its own, or as admin the one it names, or as admin everybody's
 * (undefined) when `all` is set and it names none.
 * @throws AppError `not_found` for any other key's, whether that key exists or not.
 */
export function visibleKey(
  principal: Principal,
  keyId: string | undefined,
  options: { all: true },
): string | undefined;
export function visibleKey(principal: Principal, keyId: string | undefined): string;
export function visibleKey(
  principal: Principal,
  keyId: string | undefined,
  options?: { all: true },
): string | undefined {
  if (principal.role === "admin") return keyId ?? (options?.all ? undefined : principal.keyId);
  if (keyId !== undefined && keyId !== principal.keyId)
    throw new AppError("not_found", "there is nothing with this id");
  return principal.keyId;
}
