import { once } from "node:events";
import type * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** Writes server-sent events at the client's pace: an endless answer must not fill the memory. */
export function events(response: http.ServerResponse, model: string) {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  return async (choice: object, usage?: Usage): Promise<void> => {
    if (response.destroyed) return;
    const chunk = {
      id: "chatcmpl-test",
      object: "chat.completion.chunk",
      created: 0,
      model,
      choices: [{ index: 0, ...choice }],
      ...(usage === undefined ? {} : { usage }),
    };
    await write(response, `data: ${JSON.stringify(chunk)}\n\n`);
  };
}

export async function write(response: http.ServerResponse, text: string): Promise<void> {
  if (response.write(text)) return;
  const over = new AbortController();
  const { signal } = over;
  // The loser of the race must not stay behind as a listener: an endless answer has thousands of rounds.
  await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]).catch(
    () => undefined,
  );
  over.abort();
}

/** Service times of the script; over at once when the client has gone. */
export async function pause(ms: number | undefined, response: http.ServerResponse): Promise<void> {
  if (ms === undefined || ms <= 0 || response.destroyed) return;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once("close", onClose);
  await sleep(ms, undefined, { signal: gone.signal }).catch(() => undefined);
  response.off("close", onClose);
}
