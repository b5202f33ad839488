import * as z from "zod";
import type { Context } from "#cli/terminal/context";
import type { Target } from "./answer.ts";
import * as Client from "./client.ts";

/** Whether the server's debug routes are off. Such a route answers like an unknown path. Throws CallError. */
export async function areOff({ signal }: Pick<Context, "signal">, server: Target): Promise<boolean> {
  const health = z
    .looseObject({ debug_mode: z.boolean() })
    .safeParse(await Client.get(server, "/health", { signal }));
  return health.data?.debug_mode === false;
}
