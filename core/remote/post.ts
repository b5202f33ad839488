import { request } from "./connect.ts";
import { parse, RefusedError, resolve, type World } from "./resolve.ts";

/** No more of the answer is read: only its status counts. */
const answerBytes = 4 * 1024;
const answerMs = 1_000;

/** What is sent, and how long it may take: from the look-up of the host to the answer's status. */
interface Letter {
  headers: Record<string, string>;
  body: string;
  protocols: readonly string[];
  timeoutMs: number;
}

/**
 * Sends a body to a URL that a user chose, under the rules of `download`, without following redirects.
 * @returns the answer's status, whatever it is; a few KB of its body are read and dropped.
 * @throws RefusedError; it names neither URL nor host nor address.
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
        // A receiver that is cut off in the middle of "ok" would log an error; one that never ends is not waited for.
        await answer.body
          .dump({ limit: answerBytes, signal: AbortSignal.timeout(Math.min(answerMs, timeoutMs)) })
          .catch(() => undefined);
        return answer.statusCode;
      },
    );
  } catch (thrown) {
    // The thrown errors of resolver and sockets name hosts and addresses: only our own go further.
    throw thrown instanceof RefusedError
      ? thrown
      : new RefusedError(signal.aborted ? "url_timeout" : "url_unreachable");
  }
}
