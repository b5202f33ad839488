import { once } from "node:events";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { connect } from "node:net";

interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

export type CallOptions = RequestOptions & { body?: string | Buffer };

/** Uses node:http, because fetch normalizes paths and hides what it sends. */
export async function callAt(url: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { body, ...rest } = options;
  const sent = request(url, { path, agent: false, ...rest });
  sent.on("error", () => undefined);
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString(),
  };
}

/** A call whose function gives this answer. */
export const answering = (answer: unknown) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ answer }),
});

/** Sends bytes as they are and reads until the gateway closes. */
export async function raw(url: string, ...chunks: (string | Buffer)[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  for (const chunk of chunks) socket.write(chunk);
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
