import type { Case } from "./case.ts";

/**
 * vLLM's `--api-key` protects only `/v1` and a few other paths (docs/gpu.md). Paths that must not be reachable
 * without a key are requested without one; any answer except a refusal means that the GPU is open to everyone.
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
  // A server that was started without a key leaves these open, too.
  unguarded("GET", "/v1/models"),
  unguarded("POST", "/v1/chat/completions"),
];
