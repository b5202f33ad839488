import type { LookupFunction } from "node:net";
import type { Dispatcher } from "undici";
import type { Address, World } from "./resolve.ts";

/** Where a request goes: a URL, the addresses that its name had when they were checked, and what may be connected to. */
interface Target {
  url: URL;
  addresses: Address[];
  world: Pick<World, "allows">;
}

/** What is sent, and how long connecting may take. */
interface Request {
  method: "GET" | "POST";
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * One request to one of the target's addresses, no other: the name is not looked up again (DNS rebinding). Follows no
 * redirect and sends nothing of ours along: no credentials, cookies or proxy settings. The connection is closed when
 * `use` has returned.
 */
export async function request<T>(
  { url, addresses, world }: Target,
  { timeoutMs, ...options }: Request,
  use: (answer: Dispatcher.ResponseData) => Promise<T>,
): Promise<T> {
  // Loaded by the first request: no other call needs it.
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
        // The address that was checked must be the one that is connected to; the socket knows.
        if (world.allows(socket.remoteAddress ?? "")) return callback(null, socket);
        socket.destroy();
        callback(new Error("connected to another address"), null);
      }),
  });
  try {
    const answer = await ask(url, { dispatcher: agent, ...options });
    // The rest of a body that is not read ends with an error when the agent is destroyed.
    answer.body.on("error", () => undefined);
    return await use(answer);
  } finally {
    await agent.destroy();
  }
}
