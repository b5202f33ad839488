import type { Case } from "#scripts/smoke/case";

/**
 * vLLM's `--api-key` guards `/v1` and a few other paths only (docs/gpu.md). What must not be reachable without a key
 * is asked for without one; any answer but a refusal means that the GPU is open to everybody.
 */
const unguarded = (path: string): Case => ({
  name: `the model server keeps ${path} shut`,
  route: "$default",
  as: "nobody",
  mayBeAway: true,
  skip: ({ modelServer }) => (modelServer === undefined ? "VLLM_BASE_URL is not set here" : undefined),
  elsewhere: ({ modelServer }) => new URL(path, modelServer).href,
  request: () => ({ method: "POST", path, body: { prompt: "x", max_tokens: 1 } }),
  wants: {
    status: [401, 403, 404, 405],
    otherwise: "IT ANSWERS WITHOUT A KEY: put the proxy of docs/gpu.md in front of the model server",
  },
});

export const cases: readonly Case[] = ["/invocations", "/tokenize"].map(unguarded);
