import type { Server } from "#core/vision/complete";
import * as Transport from "#core/vision/transport";

/** A white PNG of 64 × 64 pixels: loads what a server loads at its first picture. */
const picture =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAEklEQVR42mP4DwUMo4xRBukMAOPT/hAC2mzjAAAAAElFTkSuQmCC";

/**
 * The first call to a model server that has just been loaded, so that no caller waits for its one-time initialization.
 * Never throws. @returns false if the server did not answer it in time; the content of the answer does not matter.
 */
export async function warmUp(server: Server, timeoutMs: number): Promise<boolean> {
  const exchange = Transport.open({ connectTimeoutMs: Math.min(server.connectTimeoutMs, timeoutMs) });
  try {
    const response = await exchange.send(`${server.baseUrl}/chat/completions`, {
      body: JSON.stringify({
        model: server.model,
        max_tokens: 1,
        temperature: 0,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "." },
              { type: "image_url", image_url: { url: picture } },
            ],
          },
        ],
      }),
      headers: {
        "content-type": "application/json",
        ...(server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` }),
      },
      signal: AbortSignal.timeout(timeoutMs),
    });
    for await (const _piece of response.body);
    // A server that refuses this call is up and can serve others; the error page of a proxy means that it is not up.
    return response.status < 500 && response.status !== 404;
  } catch {
    return false;
  } finally {
    exchange.close();
  }
}
