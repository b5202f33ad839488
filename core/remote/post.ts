import { request } from "./connect.ts";
import { parse, RefusedError, resolve, type World } from "./resolve.ts";

/** The rest of the answer is not read, because only its status counts. */
const answerBytes = 4 * 1024;
const answerMs = 1_000;

/** The request, and its time limit from the look-up to the answer's status. */
interface Letter {
  headers: Record<string, string>;
  body: string;
  protocols: readonly string[];
  timeoutMs: number;
}

/**
 * Sends a body to a URL that a user chose, under the rules of `download`, without following redirects.
 * @returns any status of the answer; a few KB of its body are read and dropped.
 * @throws RefusedError; it names no URL, host or address.
 */
export async function post(text: string, letter: Letter, world: World): Promise<number> {
  const signal = AbortSignal.timeout(Math.max(1, letter.timeoutMs));
  try {
    const url = parse(text);
    const addresses = await resolve(url, letter.protocols, world, signal);
    const { headers, body, timeoutMs } = letter;
    return await request(
      { url, addresses, world },
      {
        method: "POST",
        headers: { ...headers, "accept-encoding": "identity", "user-agent": "ocrlty" },
        body,
        timeoutMs,
        signal,
      },
      async (answer) => {
        // A few KB are read, because a receiver that is interrupted while it sends "ok" would log an error. An
        // endless body is not read.
        await answer.body
          .dump({ limit: answerBytes, signal: AbortSignal.timeout(Math.min(answerMs, timeoutMs)) })
          .catch(() => undefined);
        return answer.statusCode;
      },
    );
  } catch (thrown) {
    // Errors of resolver and sockets name hosts and addresses, so only our own errors are passed on.
    throw thrown instanceof RefusedError
      ? thrown
      : new RefusedError(signal.aborted ? "url_timeout" : "url_unreachable");
  }
}
