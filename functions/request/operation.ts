import type * as z from "zod";
import type { AppError, Code } from "#core/error";
import type * as Routes from "#spec/routes";
import type { Call, Event } from "./call.ts";

/** An answer: `body` is sent as JSON. With `contentType` it is text or bytes. */
export interface Reply {
  status: number;
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
}

/** The body as sent, decoded from the event's base64; empty if the operation takes JSON. */
export interface RawBody {
  contentType: string | undefined;
  bytes: Uint8Array;
}

/**
 * The formats of a body with `bodyAs: "any"`. Passed as a value, so that only functions that use its texts bundle them.
 */
export interface Doors {
  /** Types other than JSON, by media type: for OpenAPI. */
  types: Readonly<Record<string, z.ZodType>>;
  /** The message for a call without a body. */
  missing: string;
  isJson(contentType: string): boolean;
  /** What a body that was sent as JSON really is; undefined if it may be broken JSON. */
  notJson(text: string): string | undefined;
}

/** What a route accepts, answers and does; its schemas are the source of OpenAPI. */
export interface Operation<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  summary: string;
  /** Markdown for OpenAPI, if the summary is not enough. */
  description?: string;
  params?: P;
  query?: Q;
  /** The schema of a JSON body. Without it the route ignores any body. */
  body?: B;
  /**
   * How the body is read if the schema is not enough; the schema then only describes it. `unchecked`: JSON that the
   * operation checks itself. `multipart`: the bytes come as `raw`. `any`: JSON that the operation checks itself, or
   * another type, which comes as `raw`.
   */
  bodyAs?: "unchecked" | "multipart" | "any";
  /** Needed with `bodyAs: "any"`, and only there. */
  doors?: Doors;
  /** Status → its answer. scripts/openapi adds the errors that follow from the route and its input, and `errors`. */
  responses: Record<
    number,
    {
      description: string;
      schema?: z.ZodType;
      contentType?: string;
      /** Other types of the body, by media type. */
      others?: Record<string, z.ZodType>;
    }
  >;
  /** Error codes that only this operation has. */
  errors?: readonly Code[];
  run(input: {
    params: z.output<P>;
    query: z.output<Q>;
    body: z.output<B>;
    raw: RawBody;
    call: Call;
  }): Promise<Reply> | Reply;
}

/** Types the input of `run` by the operation's schemas. */
export function operation<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  definition: Operation<P, Q, B>,
): Operation {
  return definition;
}

export type Operations = Partial<Record<Routes.RouteKey, Operation>>;

/** What a function may define in addition to its routes. */
export interface Extras {
  /** Answers calls to `$default`. */
  readonly fallback?: (event: Event) => Reply;
  /** The error of an invocation that is about to be killed. */
  readonly outOfTime?: () => AppError;
}
