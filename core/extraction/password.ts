import { AppError, invalidRequest } from "#core/error";
import type { ExtractRequest } from "#core/reading/schema";

/*
 * The password of an encrypted PDF lives as long as its call: it is stored nowhere, so work that leaves the call (the
 * queue) could not open the file again.
 */

/** @throws AppError `invalid_request` for a call with a password that does not wait for its answer. */
export function checkWaits(
  { password }: Pick<ExtractRequest, "password">,
  { waitMs }: { waitMs: number | undefined },
): void {
  if (password === undefined || waitMs !== 0) return;
  const message =
    "does not go with Prefer: respond-async or wait=0: it is never stored, so work in the queue could not open the file. Wait for the answer, or save the PDF without its password";
  throw invalidRequest([{ path: "password", message }], { details: { reason: "password_not_queued" } });
}

/** The file did not open with the password of this call. */
export const isWrong = (thrown: unknown): thrown is AppError =>
  thrown instanceof AppError && thrown.details?.reason === "pdf_wrong_password";

/** Why a call ends that would go on in the queue without its password. The same call may be sent again. */
export function notQueued({ code, message, details, retryAfterS, cause }: AppError): AppError {
  const advice = "a call with a password is not handed over to the queue: send it again";
  return new AppError(code, `${message}; ${advice}`, {
    details: { ...details, reason: "password_not_queued" },
    retryAfterS,
    cause,
  });
}
