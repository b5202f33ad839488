import { AppError } from "#core/error";
import { podIdPattern } from "#spec/pod-id";

/* What the APIs of providers have in common: JSON over HTTPS with a key, and what their refusals mean. */

/** The address of the API, and its key. */
export interface Api {
  /** Without a slash at its end, e.g. `https://api.runpod.io/v2`. */
  apiUrl: string;
  apiKey: string;
  /** A verb ends after this, however many calls it makes. */
  timeoutMs: number;
  /** Ends a verb early, with its own reason. */
  signal?: AbortSignal;
}

/** The provider's name, and what its key must be allowed to do, for messages. */
interface Names {
  readonly name: string;
  readonly rights: string;
}

export interface Received {
  status: number;
  body: string;
  retryAfterS: number | undefined;
}

/** Whether a text may be a pod's id: nothing that could lead a path elsewhere. */
export function isPodId(text: string): boolean {
  return podIdPattern.test(text);
}

/** @throws AppError `invalid_request` if a text may be no pod's id. */
export function checkPodId(text: string): void {
  if (!isPodId(text))
    throw new AppError("invalid_request", "a pod's id is made of letters, digits, - and _, 64 at most");
}

/** The same with a deadline: one for all calls of a verb. */
export function within<A extends Api>(api: A): A {
  const timeout = AbortSignal.timeout(api.timeoutMs);
  return { ...api, signal: api.signal ? AbortSignal.any([api.signal, timeout]) : timeout };
}

/** @throws AppError `inference_unavailable` if no answer comes in time; the signal's own reason if it was aborted. */
export async function ask(
  { name }: Names,
  api: Api,
  path: string,
  { method, body }: { method: "GET" | "POST" | "PUT"; body?: object },
): Promise<Received> {
  try {
    const response = await fetch(`${api.apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${api.apiKey}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(api.signal === undefined ? {} : { signal: api.signal }),
      // The key is sent only to that address.
      redirect: "error",
    });
    const retryAfter = Number(response.headers.get("retry-after"));
    return {
      status: response.status,
      body: await response.text(),
      retryAfterS: retryAfter > 0 ? Math.ceil(retryAfter) : undefined,
    };
  } catch (cause) {
    const late = cause instanceof Error && cause.name === "TimeoutError";
    if (api.signal?.aborted && !late) throw cause;
    throw unavailable(late ? `${name} did not answer in time` : `${name} cannot be reached`, cause);
  }
}

/** The answer as JSON; undefined if it is none. */
export function parse({ body }: Received): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Why the provider refused, in our words, because its own could quote a variable of the pod. */
export function refused({ name, rights }: Names, { status, retryAfterS }: Received): AppError {
  if (status === 401)
    return new AppError("forbidden", `${name} does not know this API key: it is wrong, disabled or ended`);
  if (status === 403)
    return new AppError("forbidden", `${name}'s API key may not do that: it needs to ${rights}`);
  if (status === 404)
    return new AppError("not_found", `${name} has no pod of this id that the API key may see`);
  if (status === 429) return new AppError("rate_limited", `${name} asks to wait`, { retryAfterS });
  return unavailable(`${name} answers with status ${status}`);
}

export function unavailable(message: string, cause?: unknown): AppError {
  return new AppError("inference_unavailable", message, { cause });
}
