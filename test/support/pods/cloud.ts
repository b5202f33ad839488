import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";

/*
 * A cloud on 127.0.0.1 with a clock that the test turns: RunPod's REST API v2, and behind its proxy the model server in each
 * pod, which answers once it is loaded.
 *
 *   const cloud = await Cloud.start({ pods: ["a", "b"] });
 *   cloud.now              the clock; nothing else moves a pod on
 *   cloud.pod("a")         how long it takes to start and to load; what it refuses
 *   cloud.orders           "start a", "stop a", in the order in which they were taken
 */

export const apiKey = "rpa_CANARY0KEY";

export interface Pod {
  id: string;
  exists: boolean;
  status: "EXITED" | "STARTING" | "RUNNING" | "ERROR";
  startedAt: number;
  /** Milliseconds from the order to the running container, and from there to the first answer of `/v1/models`. */
  startMs: number;
  loadMs: number;
  /** Orders to start it: refused for want of a GPU, refused for another reason, or taken without effect. */
  starts: "work" | "no_gpu" | "refused" | "nothing";
  /** Orders to stop it are refused. */
  locked: boolean;
  /** The model server's first call fails until this time. */
  coldUntil: number;
}

export interface Cloud {
  readonly apiUrl: string;
  now: number;
  /** Not reachable: connections are closed. */
  away: boolean;
  /** The answer to an order gets lost, although the order is taken. */
  losesAnswers: boolean;
  /** Answers with 429 and this many seconds. */
  busyS: number | undefined;
  key: string;
  pod(id: string): Pod;
  /** Where a pod's model server is. */
  addressOf(id: string): string;
  readonly orders: string[];
  /** Questions and orders, refused ones included. */
  asked: number;
  /** Completions that the model servers answered. */
  completions: number;
  /** Called before an order is carried out. */
  onOrder: (verb: string, id: string) => void;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

export async function start({ pods: ids }: { pods: string[] }): Promise<Cloud> {
  const pods = new Map(ids.map((id) => [id, podOf(id)]));
  const server = http.createServer((request, response) => {
    answer(request)
      .then((reply) => {
        if (reply === undefined) return response.destroy();
        response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
        return response.end(JSON.stringify(reply.body));
      })
      .catch(() => response.destroy());
  });

  async function answer(request: http.IncomingMessage): Promise<Reply | undefined> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const [, root, id = "", ...rest] = (request.url ?? "").split("/");
    const pod = pods.get(id);
    if (pod !== undefined) moveOn(pod);
    if (root === "proxy") return inPod(pod, rest.join("/"));
    cloud.asked += 1;
    if (cloud.away) return undefined;
    const { action } = pieces.length === 0 ? {} : (JSON.parse(Buffer.concat(pieces).toString()) as Order);
    return api(request, pod, action);
  }

  function api(request: http.IncomingMessage, pod: Pod | undefined, action: string | undefined) {
    if (request.headers.authorization !== `Bearer ${cloud.key}`) return problem(401, "invalid bearer token");
    if (cloud.busyS !== undefined) return problem(429, "slow down", { "retry-after": `${cloud.busyS}` });
    if (pod === undefined || !pod.exists) return problem(404, "pod not found");
    if (action === undefined) return { status: 200, body: wire(pod) };
    cloud.onOrder(action, pod.id);
    const refusal = action === "start" ? refusalOf(pod) : pod.locked ? problem(409, "locked") : undefined;
    if (refusal !== undefined) return refusal;
    cloud.orders.push(`${action} ${pod.id}`);
    carryOut(pod, action);
    return cloud.losesAnswers ? undefined : { status: 200, body: wire(pod) };
  }

  function carryOut(pod: Pod, action: string): void {
    if (action === "stop") pod.status = "EXITED";
    else if (pod.starts === "work" && pod.status === "EXITED") {
      pod.status = "STARTING";
      pod.startedAt = cloud.now;
      moveOn(pod);
    }
  }

  function moveOn(pod: Pod): void {
    if (pod.status === "STARTING" && cloud.now >= pod.startedAt + pod.startMs) pod.status = "RUNNING";
  }

  /** As behind RunPod's proxy: a pod that does not serve answers with a page. */
  function inPod(pod: Pod | undefined, path: string): Reply {
    const isLoaded =
      pod?.status === "RUNNING" && cloud.now >= pod.startedAt + pod.startMs + pod.loadMs && pod.exists;
    if (!isLoaded) return { status: pod?.status === "RUNNING" ? 502 : 404, body: "<html>" };
    if (path === "v1/models") return { status: 200, body: { object: "list", data: [model] } };
    if (cloud.now < pod.coldUntil) return { status: 503, body: {} };
    cloud.completions += 1;
    return { status: 200, body: { choices: [{ message: { content: "." }, finish_reason: "length" }] } };
  }

  const cloud: Cloud = {
    ...{ apiUrl: "", now: Date.UTC(2026, 10, 20, 8), away: false, losesAnswers: false, busyS: undefined },
    ...{ key: apiKey, orders: [], asked: 0, completions: 0, onOrder: () => undefined },
    pod(id) {
      const pod = pods.get(id);
      if (pod === undefined) throw new Error(`the cloud has no pod ${id}`);
      return pod;
    },
    addressOf: (id) => `${origin}/proxy/${id}/v1`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(cloud, { apiUrl: origin });
}

interface Order {
  action?: string;
}

const model = { id: "scripted-model", object: "model", max_model_len: 8_192 };

const podOf = (id: string): Pod => ({
  ...{ id, exists: true, status: "EXITED", startedAt: 0, startMs: 60_000, loadMs: 120_000 },
  ...{ starts: "work", locked: false, coldUntil: 0 },
});

const problem = (status: number, detail: string, headers: Record<string, string> = {}): Reply => ({
  ...{ status, headers },
  body: { title: "Problem", status, detail },
});

function refusalOf({ starts }: Pod): Reply | undefined {
  if (starts === "no_gpu")
    return problem(400, "start pod: There are not enough free GPUs on the host machine to start this pod.");
  return starts === "refused" ? problem(409, "action is not valid in the current state") : undefined;
}

const wire = ({ id, status, startedAt, locked }: Pod) => ({
  ...{ id, name: "ocrlty-gpu", status, locked, cost: status === "EXITED" ? 0 : 0.44 },
  ...{ gpu: { id: "NVIDIA GeForce RTX 4090", count: 1 }, env: { VLLM_API_KEY: "canary-of-the-variables" } },
  startedAt: new Date(startedAt).toISOString(),
});
