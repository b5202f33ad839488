/** A picture that crashes the model server every time, together with all requests in flight. */

import type * as ModelServer from "#test/support/model-server/model-server";
import type { Batches } from "./batches.ts";
import { answer } from "./batches.ts";

export interface PoisonOptions {
  /** Ids of the items (`<run_id>~<index>`) whose picture crashes the server. */
  readonly ids: readonly string[];
  /** How long the model server does not listen afterwards; 0 if only its connections are lost. */
  readonly awayMs: number;
  /** How long it takes to read any other picture. */
  readonly serviceMs: number;
}

export interface Poison {
  /** How often each id was asked. */
  asked(): Map<string, number>;
  /** Times of the crashes, and which items were being served. */
  readonly crashes: readonly { readonly at: number; readonly inFlight: readonly string[] }[];
}

export const idOf = ({ headers }: ModelServer.Received): string => String(headers["x-request-id"]);

/** Makes the model server crash at these pictures from now on. A picture is known by its item's id, which is unique. */
export function poison({ model }: Batches, { ids, awayMs, serviceMs }: PoisonOptions): Poison {
  const from = model.requests.length;
  const crashes: { at: number; inFlight: string[] }[] = [];
  const served = () => model.requests.slice(from);
  model.respond = async (request) => {
    if (!ids.includes(idOf(request))) return answer(serviceMs);
    // Delayed, so that requests of other items are in flight, too.
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
