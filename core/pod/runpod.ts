import * as z from "zod";
import { AppError } from "#core/error";

/*
 * RunPod's REST API v2: https://docs.runpod.io/api-reference-v2 (its openapi.json is the source of the shapes below).
 * v1 at rest.runpod.io, with `desiredStatus` and paths of their own for start and stop, ends in 2026:
 * https://docs.runpod.io/api-reference-v2/migrate-from-v1
 */

/** Whom to ask, and as whom. */
export interface RunPod {
  /** Without a slash at its end, e.g. `https://api.runpod.io/v2`. */
  apiUrl: string;
  apiKey: string;
  /** A verb ends after this, however many calls it makes. */
  timeoutMs: number;
  /** Ends a verb early, with its own reason. */
  signal?: AbortSignal;
}

const statuses = ["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"] as const;

/** The state of a pod: RUNNING means that its container runs, not that its model server answers. */
type Status = (typeof statuses)[number] | "UNKNOWN";

export interface Pod {
  id: string;
  name: string | undefined;
  /** UNKNOWN: a word that RunPod did not have in 2026. */
  status: Status;
  /** USD an hour, now: 0 while it is stopped, when only its disk costs something. Undefined: RunPod did not say. */
  costPerHour: number | undefined;
  gpu: { type: string; count: number } | undefined;
  /** When it was last started, in ISO 8601. For a stopped pod this is not the time of its stop. */
  startedAt: string | undefined;
  /** A locked pod cannot be stopped. */
  locked: boolean;
}

/**
 * The fields of a pod that are read. RunPod's answer also has its variables, VLLM_API_KEY among them, which are
 * dropped.
 */
const Answer = z.object({
  id: z.string(),
  status: z.string().transform((text): Status => statuses.find((status) => status === text) ?? "UNKNOWN"),
  name: z.string().nullish(),
  cost: z.number().nonnegative().nullish(),
  gpu: z.object({ id: z.string(), count: z.number().int().default(1) }).nullish(),
  startedAt: z.string().nullish(),
  locked: z.boolean().nullish(),
});

const podId = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether a text may be a pod's id: nothing that could lead a path elsewhere. */
export function isPodId(text: string): boolean {
  return podId.test(text);
}

/**
 * The pod behind a model server's address, `https://<id>-8000.proxy.runpod.net/v1` (docs/gpu.md); undefined for any other
 * address. Source: https://docs.runpod.io/pods/configuration/expose-ports
 */
export function podIdOf(baseUrl: string): string | undefined {
  const found = /^https:\/\/([a-z0-9]+)-8000\.proxy\.runpod\.net\/v1\/?$/i.exec(baseUrl)?.[1];
  // Host names have no case, ids are lower case.
  return found?.toLowerCase();
}

/** Whether a pod runs or is on its way there; it costs money then. */
export function isUp(status: Status): boolean {
  return status === "PROVISIONING" || status === "STARTING" || status === "RUNNING";
}

/**
 * Looks a pod up.
 * @throws AppError invalid_request (no pod id), forbidden (the key is refused), not_found, rate_limited, and
 *   inference_unavailable (no answer in time, or not RunPod's). No message contains the key, an address or an answer.
 */
export async function get(runpod: RunPod, id: string): Promise<Pod> {
  return await look(within(runpod), id);
}

/**
 * Starts a pod, and costs money from then on; of one that is up already it changes nothing. It returns as soon as RunPod
 * has taken the order: the model server answers minutes later.
 * @throws AppError as `get` does; inference_unavailable also when no GPU is free on the machine that keeps the pod's disk,
 * and conflict for an order that RunPod refuses for another reason.
 */
export async function start(runpod: RunPod, id: string): Promise<Pod> {
  return await order(within(runpod), id, "start");
}

/**
 * Stops a pod; a stopped one stays as it is. Its disk is kept and still costs money.
 * @throws AppError as `get` does; conflict if RunPod refuses, as it does for a locked pod.
 */
export async function stop(runpod: RunPod, id: string): Promise<Pod> {
  return await order(within(runpod), id, "stop");
}

async function look(runpod: RunPod, id: string): Promise<Pod> {
  const answer = await ask(runpod, id, "GET");
  if (answer.status !== 200) throw refused(answer);
  const pod = read(answer);
  if (pod === undefined) throw unavailable("RunPod's answer is not one about a pod");
  return pod;
}

async function order(runpod: RunPod, id: string, action: "start" | "stop"): Promise<Pod> {
  const answer = await ask(runpod, id, "POST", action);
  // The specification has the pod in the answer; an answer without it is asked for once more.
  if (answer.status >= 200 && answer.status < 300) return read(answer) ?? (await look(runpod, id));
  if (![400, 409, 422].includes(answer.status) || isFull(answer)) throw refused(answer);
  // An order is also refused when there is nothing to do.
  const pod = await look(runpod, id);
  if (action === "start" ? isUp(pod.status) : pod.status === "EXITED") return pod;
  throw new AppError(
    "conflict",
    pod.locked
      ? `RunPod refuses to ${action} the pod: it is locked`
      : `RunPod refuses to ${action} the pod, which is ${pod.status}`,
    { details: { reason: "pod_refuses" } },
  );
}

/** The same with a deadline: one for all calls of a verb. */
function within(runpod: RunPod): RunPod {
  const timeout = AbortSignal.timeout(runpod.timeoutMs);
  return { ...runpod, signal: runpod.signal ? AbortSignal.any([runpod.signal, timeout]) : timeout };
}

interface Received {
  status: number;
  body: string;
  retryAfterS: number | undefined;
}

async function ask(runpod: RunPod, id: string, method: "GET" | "POST", action?: string): Promise<Received> {
  if (!isPodId(id))
    throw new AppError("invalid_request", "a pod's id is made of letters, digits, - and _, 64 at most");
  try {
    const response = await fetch(`${runpod.apiUrl}/pods/${id}${action === undefined ? "" : "/action"}`, {
      method,
      headers: { authorization: `Bearer ${runpod.apiKey}`, "content-type": "application/json" },
      ...(action === undefined ? {} : { body: JSON.stringify({ action }) }),
      ...(runpod.signal === undefined ? {} : { signal: runpod.signal }),
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
    if (runpod.signal?.aborted && !late) throw cause;
    throw unavailable(late ? "RunPod did not answer in time" : "RunPod cannot be reached", cause);
  }
}

function read({ body }: Received): Pod | undefined {
  const found = Answer.safeParse(parse(body)).data;
  if (found === undefined) return undefined;
  return {
    id: found.id,
    name: found.name ?? undefined,
    status: found.status,
    costPerHour: found.cost ?? undefined,
    gpu: found.gpu ? { type: found.gpu.id, count: found.gpu.count } : undefined,
    startedAt: found.startedAt ?? undefined,
    locked: found.locked ?? false,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * A stopped pod keeps its machine and its disk, but not its GPU, which another tenant may rent. RunPod has no code
 * for this, only a sentence: "There are not enough free GPUs on the host machine to start this pod", with 400 or 500.
 * Source: https://docs.runpod.io/pods/troubleshooting/zero-gpus, and the same sentence in runpod/runpod-python#168.
 */
function isFull({ status, body }: Received): boolean {
  return (
    status >= 400 &&
    /not enough free gpu|no longer any instances|no (free gpu|instances)|insufficient[^.]*(gpu|capacity)/i.test(
      body,
    )
  );
}

/** Why RunPod refused, in our words: its own could quote a variable of the pod. */
function refused(answer: Received): AppError {
  const { status, retryAfterS } = answer;
  if (status === 401)
    return new AppError("forbidden", "RunPod does not know this API key: it is wrong, disabled or ended");
  if (status === 403)
    return new AppError("forbidden", "RunPod's API key may not do that: it needs to read and write pods");
  if (status === 404)
    return new AppError("not_found", "RunPod has no pod of this id that the API key may see");
  if (status === 429) return new AppError("rate_limited", "RunPod asks to wait", { retryAfterS });
  if (isFull(answer))
    return unavailable(
      "no GPU is free on the machine that keeps the pod: try again later, or make a new pod (docs/gpu.md)",
    );
  return unavailable(`RunPod answers with status ${status}`);
}

function unavailable(message: string, cause?: unknown): AppError {
  return new AppError("inference_unavailable", message, { cause });
}
