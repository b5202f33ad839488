import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import type { RateLimit } from "#core/usage/allowance";
import type { Route } from "#spec/routes";

/** The context of a call: made by the first middleware and passed along, so that there is no ambient state. */
export interface Call {
  requestId: string;
  /** True when the caller chose the id through `X-Request-ID`. */
  requestIdGiven: boolean;
  /** Undefined behind `$default`. */
  route: Route | undefined;
  principal: Principal;
  /** A well-formed key came during an outage of the database, which could check it; only on public routes. */
  keyUnchecked: boolean;
  /** The state of the key's `requests_per_minute`, once its call is counted. */
  rateLimit: RateLimit | undefined;
  /** The scheme, host and port of the call. */
  origin: string;
  log: Log;
  /** Epoch milliseconds at which our answer must be sent. */
  deadline: number;
  startedAt: number;
  /** Header names are lower-case. */
  headers: Record<string, string | undefined>;
}

/** The gateway's event, with the fields that our middleware adds. After the body parser `body` is the parsed JSON. */
export type Event = Omit<APIGatewayProxyEventV2, "body"> & { body?: unknown; call: Call };
export type Result = APIGatewayProxyStructuredResultV2;
