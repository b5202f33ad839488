import type { LookupFunction } from "node:net";
import type { Dispatcher } from "undici";
import type { Address, World } from "./resolve.ts";

/** What is sent to a stranger's URL, and how long connecting may take. */
interface Request {
  method: "GET" | "POST";
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * One request to one of these addresses, no other: the name is not looked up again, so it cannot change its mind
 * (DNS rebinding). Follows no redirect and takes nothing of ours along: no credentials, cookies or proxy settings.
 * The connection is closed when `use` has returned.
 */
export async function request<T>(
  url: URL,
  addresses: Address[],
  world: Pick<World, "allows">,
  { timeoutMs, ...options }: Request,
  use: (answer: Dispatcher.ResponseData) => Promise<T>,
): Promise<T> {
  // Loaded by the first request: no other call has any use for it.
  // CommonJS, which as a part of its own (local/bundle/bundle.ts) offers nothing but its default.
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
        // What was checked is what is connected to; said again by the socket itself.
        if (world.allows(socket.remoteAddress ?? "")) return callback(null, socket);
        socket.destroy();
        callback(new Error("connected to another address"), null);
      }),
  });
  try {
    const answer = await ask(url, { dispatcher: agent, ...options });
    // What is left of a body that nobody reads ends with an error when the agent is destroyed.
    answer.body.on("error", () => undefined);
    return await use(answer);
  } finally {
    await agent.destroy();
  }
}
