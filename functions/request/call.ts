import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import type { Principal } from "#core/key/key";
import type { Log } from "#core/log";
import type { RateLimit } from "#core/usage/allowance";
import type { Route } from "#spec/routes";

/** What a call knows about itself; made by the first middleware, passed along instead of ambient state. */
export interface Call {
  requestId: string;
  /** True when the caller chose the id through `X-Request-ID`. */
  requestIdGiven: boolean;
  /** Undefined behind `$default`. */
  route: Route | undefined;
  principal: Principal;
  /** A key of the right shape came, and the database that knows it is away; of public routes alone. */
  keyUnchecked: boolean;
  /** Of a key with `requests_per_minute`, once its call is counted. */
  rateLimit: RateLimit | undefined;
  /** Scheme, host and port that were called. */
  origin: string;
  log: Log;
  /** Epoch milliseconds at which our answer must be on its way. */
  deadline: number;
  startedAt: number;
  /** Header names are lower-case. */
  headers: Record<string, string | undefined>;
}

/** The gateway's event, with what our middleware adds. After the body parser `body` is the parsed JSON. */
export type Event = Omit<APIGatewayProxyEventV2, "body"> & { body?: unknown; call: Call };
export type Result = APIGatewayProxyStructuredResultV2;
