import * as z from "zod";
import { AppError } from "#core/error";
import * as Api from "./api.ts";
import { type Look, noGpu, type Provider } from "./provider.ts";

/*
 * Vast.ai's REST API: https://docs.vast.ai/api-reference/instances/show-instance and .../manage-instance, and for the
 * words of `actual_status` https://docs.vast.ai/cli/reference/show-instances (read in November 2026).
 */

const names = { name: "Vast.ai", rights: "read and manage instances" } as const;

/** The port that the proxy of docs/gpu.md listens on within the container. */
const port = "8000/tcp";

const Ports = z.record(z.string(), z.array(z.object({ HostPort: z.union([z.string(), z.number()]) })));

/** The fields that are read. The answer also has the instance's variables and tokens, which are dropped. */
const Answer = z.object({
  instances: z.object({
    actual_status: z.string().nullish(),
    intended_status: z.string().nullish(),
    public_ipaddr: z.string().nullish(),
    // A list of numbers while nothing is mapped.
    ports: Ports.nullish().catch(null),
    dph_total: z.number().positive().nullish().catch(null),
    uptime_mins: z.number().nonnegative().nullish().catch(null),
  }),
});
type Instance = z.output<typeof Answer>["instances"];

const Done = z.object({ success: z.boolean(), msg: z.string().nullish(), error: z.string().nullish() });

/**
 * Vast.ai for the manager. Address and port belong to the instance's host and may change with each start. They are
 * plain HTTP unless the instance itself brings TLS.
 */
export function provider(api: Api.Api): Provider {
  return {
    name: "vast",
    look: (id) => look(api, id),
    start: (id) => order(api, id, "running"),
    stop: (id) => order(api, id, "stopped"),
  };
}

async function look(api: Api.Api, id: string): Promise<Look> {
  const answer = await Api.ask(names, Api.within(api), path(id), { method: "GET" });
  if (answer.status !== 200) throw Api.refused(names, answer);
  const body = Api.parse(answer);
  // An instance that was destroyed.
  if (typeof body === "object" && body !== null && "instances" in body && body.instances === null)
    throw Api.refused(names, { ...answer, status: 404 });
  const found = Answer.safeParse(body).data?.instances;
  if (found === undefined) throw Api.unavailable("Vast.ai's answer is not one about an instance");
  const state = stateOf(found);
  const minutes = state === "up" ? found.uptime_mins : undefined;
  return {
    state,
    address: state === "up" ? addressOf(found) : undefined,
    ratePerHour: found.dph_total ?? undefined,
    since: typeof minutes === "number" ? new Date(Date.now() - minutes * 60_000) : undefined,
  };
}

async function order(api: Api.Api, id: string, state: "running" | "stopped"): Promise<void> {
  const answer = await Api.ask(names, Api.within(api), path(id), { method: "PUT", body: { state } });
  const done = Done.safeParse(Api.parse(answer)).data;
  if (answer.status >= 200 && answer.status < 300 && done?.success === true) return;
  const said = `${done?.error ?? ""} ${done?.msg ?? ""}`;
  if (/no_such_instance/.test(said)) throw Api.refused(names, { ...answer, status: 404 });
  if (/resources? (are |is )?(currently )?(unavailable|not available)|no_capacity/i.test(said))
    throw new AppError("inference_unavailable", "the instance's machine has no free GPU: try again later", {
      details: { reason: noGpu },
    });
  // Other refusals have a status of their own, or 200 with `success: false`.
  const { status } = answer;
  const isOrders = status === 400 || status === 409 || (status < 300 && done?.success === false);
  if (!isOrders) throw Api.refused(names, answer);
  throw new AppError("conflict", `Vast.ai refuses to make the instance ${state}`, {
    details: { reason: "pod_refuses" },
  });
}

function path(id: string): string {
  Api.checkPodId(id);
  return `/api/v0/instances/${id}/`;
}

const onTheWay = [null, undefined, "created", "loading", "rebooting"];
const atRest = ["stopped", "exited", null, undefined, "created"];

/**
 * An instance that was ordered to run and has no GPU stays `scheduling`: in 30 s or never, as the page of `start
 * instance` says. A stopped instance has `intended_status` "stopped".
 */
function stateOf({ actual_status: actual, intended_status: intended }: Instance): Look["state"] {
  if (actual === "frozen") return "broken";
  if (intended === "running") {
    if (actual === "running") return "up";
    if (onTheWay.includes(actual)) return "starting";
    return actual === "scheduling" || actual === "stopped" || actual === "exited" ? "queued" : "unknown";
  }
  if (intended !== "stopped") return "unknown";
  if (atRest.includes(actual)) return "down";
  return actual === "running" || actual === "loading" ? "stopping" : "unknown";
}

function addressOf({ public_ipaddr: host, ports }: Instance): string | undefined {
  const mapped = Number(ports?.[port]?.[0]?.HostPort);
  const name = host?.trim() ?? "";
  if (!/^[0-9A-Za-z.-]+$/.test(name) || !Number.isInteger(mapped) || mapped < 1 || mapped > 65_535)
    return undefined;
  return `http://${name}:${mapped}/v1`;
}
