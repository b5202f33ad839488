import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";

/*
 * A scripted Vast.ai, from its published description: GET and PUT /api/v0/instances/{id}/ over real HTTP on 127.0.0.1, with one
 * instance.
 *
 *   const vast = await VastServer.start();
 *   vast.url        where VAST_API_URL leads
 *   vast.instance   its fields as GET shows them; `orders` change them as `onOrder` says
 *   vast.refuse     what is answered instead, to everything or to orders alone
 */

export const apiKey = "CANARY-OF-VAST";
export const instanceId = "329838";

export interface Answer {
  status: number;
  body: unknown;
}

export interface VastServer {
  readonly url: string;
  instance: Record<string, unknown> | null;
  refuse: { all?: Answer; orders?: Answer };
  /** Called with each order that is taken. */
  onOrder: (state: string) => void;
  readonly seen: string[];
  close(): Promise<void>;
}

export async function start(): Promise<VastServer> {
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { status, body } = answer(request, Buffer.concat(pieces).toString());
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });

  function answer(request: http.IncomingMessage, body: string): Answer {
    const { state } = (body === "" ? {} : JSON.parse(body)) as { state?: string };
    vast.seen.push([`${request.method} ${request.url}`, state].filter(Boolean).join(" "));
    const refusal = vast.refuse.all ?? (state === undefined ? undefined : vast.refuse.orders);
    if (refusal !== undefined) return refusal;
    if (request.headers.authorization !== `Bearer ${apiKey}`)
      return { status: 401, body: { success: false, error: "auth_error", msg: "Invalid user key" } };
    if (request.url !== `/api/v0/instances/${instanceId}/`)
      return { status: 404, body: { success: false, error: "no_such_instance", msg: "canary" } };
    if (state === undefined) return { status: 200, body: { instances: vast.instance } };
    vast.onOrder(state);
    return { status: 200, body: { success: true } };
  }

  const vast: VastServer = {
    url: "",
    instance: stopped(),
    refuse: {},
    // As an instance that finds its GPU at once.
    onOrder: (state) => {
      vast.instance = state === "running" ? running("127.0.0.1", 40_137) : stopped();
    },
    seen: [],
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(vast, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** More than is read of it, as the real one; some of it is secret. */
const common = {
  ...{ id: Number(instanceId), gpu_name: "RTX 4090", num_gpus: 1, dph_total: 0.35, label: null },
  ...{ ssh_host: "ssh4.example.com", jupyter_token: "canary-token", extra_env: [["VLLM_API_KEY", "canary"]] },
};

export const stopped = () => ({
  ...common,
  ...{ actual_status: "exited", intended_status: "stopped", cur_state: "stopped", next_state: "stopped" },
  ...{ public_ipaddr: null, ports: null, uptime_mins: null },
});

export const scheduling = () => ({
  ...stopped(),
  ...{ actual_status: "scheduling", intended_status: "running" },
});

/** The container's port 8000 is mapped to another one of its host. */
export const running = (host: string, port: number) => ({
  ...common,
  ...{ actual_status: "running", intended_status: "running", cur_state: "running", next_state: "running" },
  ...{ public_ipaddr: `${host} `, uptime_mins: 2 },
  ports: {
    "22/tcp": [{ HostIp: "0.0.0.0", HostPort: "40022" }],
    "8000/tcp": [
      { HostIp: "0.0.0.0", HostPort: `${port}` },
      { HostIp: "::", HostPort: `${port}` },
    ],
  },
});
