import type * as http from "node:http";

/** A chat completion as it arrived. */
export interface Received {
  /** 1 for the first. */
  n: number;
  headers: http.IncomingHttpHeaders;
  body: ChatBody;
  /** The pictures, decoded from their data URLs. */
  images: { mimeType: string; bytes: Buffer }[];
  /** Text parts, joined. */
  prompt: string;
  /** Epoch milliseconds. */
  at: number;
  /** When its connection or answer ended; undefined while it is open. */
  endedAt: number | undefined;
  /** True if the client closed the connection before the answer was complete. */
  aborted: boolean;
}

export interface ChatBody {
  model?: string;
  stream?: boolean;
  seed?: number;
  temperature?: number;
  max_tokens?: number;
  stream_options?: { include_usage?: boolean; continuous_usage_stats?: boolean };
  response_format?: { type: string; json_schema?: { name: string; strict?: boolean; schema: unknown } };
  messages?: { role: string; content: string | Part[] }[];
  [field: string]: unknown;
}
type Part = { type: string; text?: string; image_url?: { url: string } };

/** The body as received. */
export function receive(n: number, headers: http.IncomingHttpHeaders, raw: string): Received {
  const body = JSON.parse(raw) as ChatBody;
  const parts = (body.messages ?? []).flatMap(({ content }): Part[] =>
    typeof content === "string" ? [{ type: "text", text: content }] : content,
  );
  const images = parts.flatMap(({ image_url }) => {
    const matched = /^data:([^;]+);base64,(.*)$/s.exec(image_url?.url ?? "");
    return matched ? [{ mimeType: matched[1] ?? "", bytes: Buffer.from(matched[2] ?? "", "base64") }] : [];
  });
  const prompt = parts.map((part) => part.text ?? "").join("");
  return { n, headers, body, images, prompt, at: Date.now(), endedAt: undefined, aborted: false };
}
