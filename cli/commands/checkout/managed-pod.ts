import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import { CallError } from "#cli/server/call-error";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Table from "#cli/terminal/table";

/* The verbs of `pod` that go to the server, whose manager starts and stops the pod (docs/gpu.md). */

const path = "/v1/admin/pod";

const Pod = z.looseObject({
  state: z.string(),
  since: z.string(),
  reason: z.string().nullable(),
  pod_id: z.string().nullable(),
  wanted: z.string(),
  waiting_for: z.string().nullable(),
  ready_at: z.string().nullable(),
  retry_at: z.string().nullable(),
  looked_at: z.string().nullable(),
  rate_per_hour: z.number().nullable(),
  session: z.looseObject({ provider: z.string(), started_at: z.string() }).nullable(),
  today: z.object({ hours: z.number(), dollars: z.number() }),
});
type Pod = z.output<typeof Pod>;

type Verb = "status" | "start" | "stop";

/** `pod status|start|stop` of a managed pod. */
export async function order(context: Context, options: Options.Common, verb: Verb): Promise<Exit> {
  const request = verb === "status" ? { path } : { method: "POST" as const, path: `${path}/${verb}` };
  return await asked(context, options, request);
}

/** `pod use ID`, and `pod use --none`. */
export async function use(context: Context, options: Options.Common, id: string | null): Promise<Exit> {
  return await asked(context, options, { method: "PUT" as const, path, body: { pod_id: id } });
}

async function asked(
  context: Context,
  options: Options.Common,
  request: Parameters<typeof Run.ask>[1],
): Promise<Exit> {
  const server = await Server.connect(context, options);
  try {
    const pod = of(await Run.ask(server, { ...request, signal: context.signal }));
    context.out(options.json ? `${JSON.stringify(pod)}\n` : table(pod, context));
    return exit.ok;
  } finally {
    await server.close();
  }
}

/** `pod watch`: a line each time something changes, until it is interrupted. */
export async function watch(context: Context, options: Options.Common, pauseMs: number): Promise<Exit> {
  const server = await Server.connect(context, options);
  let said = "";
  try {
    for (;;) {
      const pod = of(await Run.ask(server, { path, signal: context.signal }));
      const line = options.json ? JSON.stringify(pod) : lineOf(pod);
      const key = JSON.stringify([pod.state, pod.reason, pod.pod_id, pod.wanted, pod.waiting_for]);
      if (key !== said) context.out(`${line}\n`);
      said = key;
      await sleep(pauseMs, undefined, { signal: context.signal });
    }
  } finally {
    await server.close();
  }
}

function of(json: unknown): Pod {
  const pod = Pod.safeParse(json);
  if (pod.success) return pod.data;
  throw new CallError(
    "the answer is not about a pod: this is not an OCRlty server, or one of another version",
    {
      scope: "server",
      code: "odd_answer",
    },
  );
}

function lineOf(pod: Pod): string {
  const parts = [
    pod.state + (pod.reason === null ? "" : ` (${pod.reason})`),
    pod.pod_id ?? "",
    pod.waiting_for !== null && pod.ready_at !== null ? `ready about ${Table.minute(pod.ready_at)}` : "",
    pod.wanted === "off" ? "stopped by hand" : "",
    `today ${pod.today.hours.toFixed(2)} h, ${pod.today.dollars.toFixed(2)} USD`,
  ];
  return `${Table.minute(pod.since)}  ${parts.filter(Boolean).join("  ")}`;
}

function table(pod: Pod, context: Context): string {
  return Table.table(
    [
      ["POD", "STATE", "WHY", "SINCE (UTC)", "READY ABOUT", "USD/H", "TODAY H", "TODAY USD"],
      [
        pod.pod_id ?? "-",
        pod.wanted === "off" ? `${pod.state}, by hand` : pod.state,
        pod.reason ?? "-",
        Table.minute(pod.since),
        Table.minute(pod.ready_at ?? undefined),
        pod.rate_per_hour?.toFixed(2) ?? "-",
        pod.today.hours.toFixed(2),
        pod.today.dollars.toFixed(2),
      ],
    ],
    context,
  );
}
