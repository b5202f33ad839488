/** A picture at which the model server goes down every time, whoever else is being served. */

import type * as ModelServer from "#test/support/model-server/model-server";
import type { Batches } from "./batches.ts";
import { answer } from "./batches.ts";

export interface PoisonOptions {
  /** Item ids (`<run_id>~<index>`) whose picture does it. */
  readonly ids: readonly string[];
  /** The model server does not listen for this long afterwards; 0: only its connections are lost. */
  readonly awayMs: number;
  /** How long it takes to read any other picture. */
  readonly serviceMs: number;
}

export interface Poison {
  /** How often each id was asked. */
  asked(): Map<string, number>;
  /** Times at which everything was dropped, and who was being served then. */
  readonly crashes: readonly { readonly at: number; readonly inFlight: readonly string[] }[];
}

export const idOf = ({ headers }: ModelServer.Received): string => String(headers["x-request-id"]);

/** From now on the model server behaves so. The picture is known by its item's id, of which each has its own. */
export function poison({ model }: Batches, { ids, awayMs, serviceMs }: PoisonOptions): Poison {
  const from = model.requests.length;
  const crashes: { at: number; inFlight: string[] }[] = [];
  const served = () => model.requests.slice(from);
  model.respond = async (request) => {
    if (!ids.includes(idOf(request))) return answer(serviceMs);
    // Late enough that its neighbours are there, too.
    await new Promise((resolve) => setTimeout(resolve, serviceMs / 2));
    if (request.endedAt !== undefined) return { kind: "hang" };
    crashes.push({
      at: Date.now(),
      inFlight: served()
        .filter(({ endedAt }) => endedAt === undefined)
        .map(idOf),
    });
    await model.down();
    if (awayMs > 0) setTimeout(() => void model.up(), awayMs);
    else await model.up();
    return { kind: "hang" };
  };
  return {
    crashes,
    asked: () => {
      const counts = new Map<string, number>();
      for (const request of served()) counts.set(idOf(request), (counts.get(idOf(request)) ?? 0) + 1);
      return counts;
    },
  };
}
