import { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import type { ExtractRequest } from "#core/reading/schema";

/**
 * Checks the options of debugging: `image_url` and `debug` are allowed only if the operator has switched debugging on
 * and the key may debug.
 * @throws AppError `forbidden` with `details.reason` `debug_mode_off`, or with `details.required_scopes`.
 */
export function permit(input: ExtractRequest, debugMode: boolean, { scopes }: Principal): void {
  const field = (["image_url", "debug"] as const).find((name) => input[name] !== undefined);
  if (field === undefined) return;
  if (!debugMode) {
    throw new AppError("forbidden", `${field} is for debugging, which is switched off here (DEBUG_MODE)`, {
      details: { reason: "debug_mode_off", field },
    });
  }
  if (!scopes.includes("debug:run")) {
    throw new AppError("forbidden", `${field} needs a key with the scope debug:run`, {
      details: { reason: "scope_missing", field, required_scopes: ["debug:run"] },
    });
  }
}
