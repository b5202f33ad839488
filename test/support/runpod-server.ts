import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";

/*
 * A scripted RunPod: its REST API v2 over real HTTP on 127.0.0.1, with one pod.
 *
 *   const runpod = await RunPodServer.start();
 *   runpod.url        "http://127.0.0.1:<port>/v2"
 *   runpod.status     the pod's; orders change it
 *   runpod.refuse     what is answered instead, to everything or to orders alone
 *   runpod.seen       "GET /v2/pods/…", "POST /v2/pods/…/action start", in order
 */

export const podId = "xedezhzb9la3ye";
export const apiKey = "rpa_CANARY0KEY";

export interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}
export type Refusal = "silence" | Answer;

/** An error as the API words it (RFC 9457). */
export const problem = (status: number, detail: string, headers: Record<string, string> = {}): Answer => ({
  status,
  body: JSON.stringify({ title: "Problem", status, detail }),
  headers,
});

export const noGpu = problem(
  400,
  "start pod: There are not enough free GPUs on the host machine to start this pod.",
);

export class RunPodServer {
  url = "";
  status = "EXITED";
  locked = false;
  refuse: { all?: Refusal; orders?: Refusal } = {};
  /** Called with each look at the pod, once its answer is made, to let it move on. */
  onLook: () => void = () => undefined;
  readonly seen: string[] = [];
  readonly #server = http.createServer((request, response) => {
    this.#handle(request, response).catch(() => response.destroy());
  });

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v2`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString("utf8");
    const { action } = (body === "" ? {} : JSON.parse(body)) as { action?: string };
    this.seen.push([`${request.method} ${request.url}`, action].filter(Boolean).join(" "));
    const refusal = this.refuse.all ?? (action === undefined ? undefined : this.refuse.orders);
    if (refusal === "silence") return;
    const answer = refusal ?? this.#act(request, action);
    if (action === undefined) this.onLook();
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(answer.body);
  }

  #act(request: http.IncomingMessage, action: string | undefined): Answer {
    if (request.headers.authorization !== `Bearer ${apiKey}`) return problem(401, "invalid bearer token");
    const path = `/v2/pods/${podId}${action === undefined ? "" : "/action"}`;
    if (request.url !== path) return problem(404, "pod not found");
    if (action === "start") this.status = "STARTING";
    if (action === "stop") this.status = "EXITED";
    return { status: 200, body: JSON.stringify(this.#pod()) };
  }

  /** The answer has more fields than the product reads, like the real one; its variables are secrets. */
  #pod() {
    return {
      id: podId,
      name: "ocrlty-gpu",
      status: this.status,
      actions: ["stop", "restart", "terminate"],
      image: "vllm/vllm-openai",
      env: { VLLM_API_KEY: "canary-of-the-pods-variables" },
      gpu: { id: "NVIDIA GeForce RTX 4090", count: 1, vcpuCount: 16, memory: 64 },
      cloud: "SECURE",
      cost: this.status === "EXITED" ? 0 : 0.44,
      locked: this.locked,
      createdAt: "2026-06-01T12:00:00Z",
      startedAt: "2026-11-28T12:02:00Z",
    };
  }
}

export async function start(): Promise<RunPodServer> {
  const server = new RunPodServer();
  await server.listen();
  return server;
}
