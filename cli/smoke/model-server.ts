import type { Case } from "./case.ts";

/**
 * vLLM's `--api-key` guards `/v1` and a few other paths only (docs/gpu.md). What must not be reachable without a key
 * is asked for without one; any answer but a refusal means that the GPU is open to everybody.
 */
const unguarded = (method: "GET" | "POST", path: string): Case => ({
  name: `the model server keeps ${path} shut without a key`,
  route: "$default",
  as: "nobody",
  mayBeAway: true,
  skip: ({ modelServer }) => (modelServer === undefined ? "VLLM_BASE_URL is not set here" : undefined),
  elsewhere: ({ modelServer }) => new URL(path, modelServer).href,
  request: () => ({ method, path, ...(method === "POST" ? { body: { prompt: "x", max_tokens: 1 } } : {}) }),
  wants: {
    status: [401, 403, 404, 405],
    otherwise: "IT ANSWERS WITHOUT A KEY: start it with one, and behind the proxy of docs/gpu.md",
  },
});

export const cases: readonly Case[] = [
  unguarded("POST", "/invocations"),
  unguarded("POST", "/tokenize"),
  // Of a server that was started without a key these are open, too.
  unguarded("GET", "/v1/models"),
  unguarded("POST", "/v1/chat/completions"),
];
