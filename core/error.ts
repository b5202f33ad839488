import type { ErrorDetails } from "./error-details.ts";

/** The closed list of error codes (docs/errors.md). `retry` says whether the same call may succeed later. */
export const codes = {
  invalid_request: { status: 400, retry: false },
  invalid_request_id: { status: 400, retry: false },
  invalid_image: { status: 400, retry: false },
  unsupported_media_type: { status: 415, retry: false },
  image_too_large: { status: 413, retry: false },
  payload_too_large: { status: 413, retry: false },
  unauthorized: { status: 401, retry: false },
  forbidden: { status: 403, retry: false },
  not_found: { status: 404, retry: false },
  method_not_allowed: { status: 405, retry: false },
  conflict: { status: 409, retry: false },
  answer_too_long: { status: 422, retry: false },
  rate_limited: { status: 429, retry: true },
  inference_failed: { status: 502, retry: true },
  invalid_model_output: { status: 502, retry: true },
  inference_unavailable: { status: 503, retry: true },
  storage_unavailable: { status: 503, retry: true },
  inference_timeout: { status: 504, retry: true },
  internal: { status: 500, retry: true },
} as const satisfies Record<string, { status: number; retry: boolean }>;

export type Code = keyof typeof codes;

/** Facts for the caller, on the wire as `error.details`. Never input values, hosts, secrets or stack traces. */
export type Details = ErrorDetails;

export interface Issue {
  /** Dotted path into the body or query; empty for the whole of it. */
  path: string;
  message: string;
  /** The line of a manifest, from 1; 0 if there are no lines. */
  line?: number;
  /** The picture that the record of a ground truth names. */
  file?: string;
}

/**
 * The one error class of the product. `message` goes to the caller as it is; `cause` goes to the log only.
 * `retryAfterS` becomes the header `Retry-After`.
 */
export class AppError extends Error {
  readonly code: Code;
  readonly details: Details | undefined;
  readonly retryAfterS: number | undefined;
  /** The field, query parameter or header that the message is about, as a dotted path; on the wire as `error.param`. */
  readonly param: string | undefined;
  /** True if the same call may succeed later: as in the list of codes, unless this error says otherwise. */
  readonly retry: boolean;

  constructor(
    code: Code,
    message: string,
    options: {
      details?: Details | undefined;
      cause?: unknown;
      retryAfterS?: number | undefined;
      retry?: false | undefined;
      param?: string | undefined;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.details = options.details;
    this.retryAfterS = options.retryAfterS;
    this.retry = options.retry ?? codes[code].retry;
    this.param = options.param;
  }

  get status(): number {
    return codes[this.code].status;
  }

  /** The same error with more details, such as the address of its artifact. */
  with(details: Details): AppError {
    return new AppError(this.code, this.message, {
      details: { ...this.details, ...details },
      cause: this.cause,
      retryAfterS: this.retryAfterS,
      param: this.param,
      ...(this.retry ? {} : { retry: false }),
    });
  }

  /** The same error with the field that it is about: code that checks a picture does not know which field held it. */
  about(param: string): AppError {
    return new AppError(this.code, this.message, {
      details: this.details,
      cause: this.cause,
      retryAfterS: this.retryAfterS,
      param: this.param ?? param,
      ...(this.retry ? {} : { retry: false }),
    });
  }
}

/** Any thrown value as an AppError: unknown errors become `internal` and keep their cause for the log. */
export function from(thrown: unknown): AppError {
  return thrown instanceof AppError
    ? thrown
    : new AppError("internal", "something went wrong on our side", { cause: thrown });
}

/**
 * A 400 with a list of at least one mistake. Its message is the first one as a sentence, and the number of further
 * ones.
 * @param more.details - in addition to `issues`, e.g. a `reason`.
 * @param more.count - the total number, if `issues` has only the first of them.
 */
export function invalidRequest(
  issues: readonly Issue[],
  more: { details?: Details | undefined; cause?: unknown; count?: number } = {},
): AppError {
  const [first] = issues;
  return new AppError("invalid_request", sentence(issues, more.count ?? issues.length), {
    details: { ...more.details, issues: [...issues] },
    cause: more.cause,
    param: first?.path || undefined,
  });
}

/** "line 3: image_ref: no such upload (and 2 more)". */
function sentence([first]: readonly Issue[], count: number): string {
  if (first === undefined) return "the request is not valid";
  const { line, path, message } = first;
  const said = [line ? `line ${line}` : "", path, message].filter(Boolean).join(": ");
  return count > 1 ? `${said} (and ${count - 1} more)` : said;
}
