import type { LookupFunction } from "node:net";
import type { Dispatcher } from "undici";
import type { Address, World } from "./resolve.ts";

/** The target of a request: a URL, the checked addresses of its host, and which addresses are allowed. */
interface Target {
  url: URL;
  addresses: Address[];
  world: Pick<World, "allows">;
}

/** The request, and the time limit for connecting. */
interface Request {
  method: "GET" | "POST";
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Makes one request to one of the target's addresses. The name is not resolved again (DNS rebinding). Redirects are
 * not followed, and no credentials, cookies or proxy settings are sent. The connection is closed when `use` has
 * returned.
 */
export async function request<T>(
  { url, addresses, world }: Target,
  { timeoutMs, ...options }: Request,
  use: (answer: Dispatcher.ResponseData) => Promise<T>,
): Promise<T> {
  // Loaded with the first request, because no other call needs it. It is CommonJS, which as a separate chunk
  // (local/bundle/bundle.ts) has only a default export.
  const { Agent, buildConnector, request: ask } = (await import("undici")).default;
  const lookup: LookupFunction = (_hostname, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, addresses);
    else callback(null, first?.address ?? "", first?.family);
  };
  const connect = buildConnector({ lookup, allowH2: false, timeout: timeoutMs });
  const agent = new Agent({
    pipelining: 0,
    connect: (target, callback) =>
      connect(target, (...[error, socket]) => {
        if (error !== null) return callback(error, null);
        // Compares the address of the socket with the checked one.
        if (world.allows(socket.remoteAddress ?? "")) return callback(null, socket);
        socket.destroy();
        callback(new Error("connected to another address"), null);
      }),
  });
  try {
    const answer = await ask(url, { dispatcher: agent, ...options });
    // A body that is not read completely ends with an error when the agent is destroyed.
    answer.body.on("error", () => undefined);
    return await use(answer);
  } finally {
    await agent.destroy();
  }
}
