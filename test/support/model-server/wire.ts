import { once } from "node:events";
import type * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** Writes server-sent events at the client's pace, so that an endless answer does not fill the memory. */
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
  // Removes the listener of the promise that lost: an endless answer has thousands of rounds.
  await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]).catch(
    () => undefined,
  );
  over.abort();
}

/** Waits for the scripted service time; ends at once if the client disconnects. */
export async function pause(ms: number | undefined, response: http.ServerResponse): Promise<void> {
  if (ms === undefined || ms <= 0 || response.destroyed) return;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once("close", onClose);
  await sleep(ms, undefined, { signal: gone.signal }).catch(() => undefined);
  response.off("close", onClose);
}
