import type { MiddlewareObj } from "@middy/core";
import { AppError } from "#core/error";
import type { Event, Result } from "#functions/request/call";

/** Replaces auth. It refuses a route that needs a key, so that a mistake in the route table exposes nothing. */
export function publicOnly(): MiddlewareObj<Event, Result> {
  const refuseOthers = ({ event }: { event: Event }) => {
    if ((event.call.route?.access ?? "public") !== "public")
      throw new AppError("internal", "this function cannot look at keys");
  };
  return { before: refuseOthers };
}
