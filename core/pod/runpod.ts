import * as z from "zod";
import { AppError } from "#core/error";
import * as Api from "./api.ts";
import { type Bill, type Look, noGpu, type Provider } from "./provider.ts";

/*
 * RunPod's REST API v2: https://docs.runpod.io/api-reference-v2 (its openapi.json is the source of the shapes below).
 * v1 at rest.runpod.io, with `desiredStatus` and paths of their own for start and stop, ends in 2026:
 * https://docs.runpod.io/api-reference-v2/migrate-from-v1
 */

/** The address of the API, and its key; e.g. `https://api.runpod.io/v2`. */
export type RunPod = Api.Api;

const names = { name: "RunPod", rights: "read and write pods" } as const;

const statuses = ["PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"] as const;

/** The state of a pod: RUNNING means that its container runs, not that its model server answers. */
type Status = (typeof statuses)[number] | "UNKNOWN";

export interface Pod {
  id: string;
  name: string | undefined;
  /** UNKNOWN: a state that RunPod did not have in 2026. */
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
  // A price below zero is ignored.
  cost: z.number().nonnegative().nullish().catch(null),
  gpu: z.object({ id: z.string(), count: z.number().int().default(1) }).nullish(),
  startedAt: z.string().nullish(),
  locked: z.boolean().nullish(),
});

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
  return await look(Api.within(runpod), id);
}

/**
 * Starts a pod, and costs money from then on; of one that is up already it changes nothing. It returns as soon as RunPod
 * has taken the order: the model server answers minutes later.
 * @throws AppError as `get` does; inference_unavailable also when no GPU is free on the machine that keeps the pod's disk,
 * and conflict for an order that RunPod refuses for another reason.
 */
export async function start(runpod: RunPod, id: string): Promise<Pod> {
  return await order(Api.within(runpod), id, "start");
}

/**
 * Stops a pod; a stopped one stays as it is. Its disk is kept and still costs money.
 * @throws AppError as `get` does; conflict if RunPod refuses, as it does for a locked pod.
 */
export async function stop(runpod: RunPod, id: string): Promise<Pod> {
  return await order(Api.within(runpod), id, "stop");
}

async function look(runpod: RunPod, id: string): Promise<Pod> {
  const answer = await ask(runpod, id);
  if (answer.status !== 200) throw refused(answer);
  const pod = read(answer);
  if (pod === undefined) throw Api.unavailable("RunPod's answer is not one about a pod");
  return pod;
}

async function order(runpod: RunPod, id: string, action: "start" | "stop"): Promise<Pod> {
  const answer = await ask(runpod, id, action);
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

async function ask(runpod: RunPod, id: string, action?: string): Promise<Api.Received> {
  Api.checkPodId(id);
  return action === undefined
    ? await Api.ask(names, runpod, `/pods/${id}`, { method: "GET" })
    : await Api.ask(names, runpod, `/pods/${id}/action`, { method: "POST", body: { action } });
}

function read(answer: Api.Received): Pod | undefined {
  const found = Answer.safeParse(Api.parse(answer)).data;
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

/**
 * A stopped pod keeps its machine and its disk, but not its GPU, which another tenant may rent. RunPod has no code
 * for this, only a sentence: "There are not enough free GPUs on the host machine to start this pod", with 400 or 500.
 * Source: https://docs.runpod.io/pods/troubleshooting/zero-gpus, and the same sentence in runpod/runpod-python#168.
 */
function isFull({ status, body }: Api.Received): boolean {
  return (
    status >= 400 &&
    /not enough free gpu|no longer any instances|no (free gpu|instances)|insufficient[^.]*(gpu|capacity)/i.test(
      body,
    )
  );
}

function refused(answer: Api.Received): AppError {
  return isFull(answer)
    ? new AppError(
        "inference_unavailable",
        "no GPU is free on the machine that keeps the pod: try again later, or make a new pod (docs/gpu.md)",
        { details: { reason: noGpu } },
      )
    : Api.refused(names, answer);
}

const lifecycles = {
  PROVISIONING: "starting",
  STARTING: "starting",
  RUNNING: "up",
  EXITED: "down",
  ERROR: "broken",
  TERMINATED: "broken",
  UNKNOWN: "unknown",
} as const satisfies Record<Status, Look["state"]>;

/** Stock of the catalog: https://docs.runpod.io/api-reference-v2/catalog/get-a-gpu-type */
const Stock = z.object({ availability: z.enum(["NONE", "LOW", "MEDIUM", "HIGH"]) });

/** RunPod as a provider for the pod's manager. */
export function provider(runpod: RunPod): Provider {
  return {
    name: "runpod",
    async look(id) {
      const pod = await get(runpod, id);
      if (pod.status === "TERMINATED") throw new AppError("not_found", "the pod was terminated at RunPod");
      const startedAt = Date.parse(pod.startedAt ?? "");
      return {
        state: lifecycles[pod.status],
        address: `https://${id}-8000.proxy.runpod.net/v1`,
        // A stopped pod costs nothing but its disk.
        ratePerHour: isUp(pod.status) && pod.costPerHour ? pod.costPerHour : undefined,
        since: isUp(pod.status) && Number.isFinite(startedAt) ? new Date(startedAt) : undefined,
      };
    },
    async start(id) {
      await start(runpod, id);
    },
    async stop(id) {
      await stop(runpod, id);
    },
    billed: (id, day) => billOf(runpod, id, day),
    capacity: (id) => inStock(runpod, id),
  };
}

/** A pod's bill: https://docs.runpod.io/api-reference-v2/billing/get-pod-billing-history */
const amount = z.number().nonnegative();
const Billing = z.object({
  records: z.array(z.object({ gpuAmount: amount, cpuAmount: amount, diskAmount: amount })),
});

async function billOf(runpod: RunPod, id: string, day: Date): Promise<Bill> {
  Api.checkPodId(id);
  const end = new Date(day.getTime() + 24 * 3_600_000);
  const query = new URLSearchParams({
    ...{ podId: id, bucketSize: "day", startTime: day.toISOString(), endTime: end.toISOString() },
  });
  const answer = await Api.ask(names, Api.within(runpod), `/billing/pods?${query}`, { method: "GET" });
  if (answer.status !== 200) throw refused(answer);
  const found = Billing.safeParse(Api.parse(answer));
  if (!found.success) throw Api.unavailable("RunPod's answer is not one about a bill");
  const { records } = found.data;
  return {
    runningUsd: records.reduce((sum, { gpuAmount, cpuAmount }) => sum + gpuAmount + cpuAmount, 0),
    diskUsd: records.reduce((sum, { diskAmount }) => sum + diskAmount, 0),
  };
}

async function inStock(runpod: RunPod, id: string): Promise<boolean | undefined> {
  try {
    const limited = Api.within(runpod);
    const { gpu } = await look(limited, id);
    if (gpu === undefined) return undefined;
    const query = `include=AVAILABILITY&product=POD&count=${gpu.count}`;
    const path = `/catalog/gpus/${encodeURIComponent(gpu.type)}?${query}`;
    const stock = Stock.safeParse(Api.parse(await Api.ask(names, limited, path, { method: "GET" })));
    return stock.success ? stock.data.availability !== "NONE" : undefined;
  } catch {
    return undefined;
  }
}
