import { from } from "#core/error";
import type { Log } from "#core/log";

/**
 * Waits for an addition to an answer, such as a text layer. An addition that fails (a deadline, a decoder that was killed) is
 * logged, and the answer stays as it is.
 * @param unread - the name of the log line for a failure, and its fields.
 * @returns undefined after a failure.
 */
export async function optional<T>(
  addition: Promise<T>,
  log: Log,
  unread: { event: string; page?: number },
): Promise<T | undefined> {
  try {
    return await addition;
  } catch (thrown) {
    const { event, ...fields } = unread;
    log.info(event, { ...fields, code: from(thrown).code });
    return undefined;
  }
}
