import { setTimeout as sleep } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import * as Options from "#cli/batch/options";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import { isPodId } from "#core/pod/api";
import * as RunPod from "#core/pod/runpod";
import * as Settings from "#core/pod/settings";
import * as Probe from "#core/vision/probe";
import * as Limits from "#spec/limits";
import { secrets } from "#spec/settings";
import * as ManagedPod from "./managed-pod.ts";

interface Given extends Options.Common {
  pod?: string;
  wait?: boolean;
  none?: boolean;
}

const about = `
With POD_MANAGER=on, and with --url, --key or --profile, the server is asked, whose manager starts and stops the pod
(scope admin:pod). Otherwise RunPod is: the pod is --pod, else POD_ID, else the one in VLLM_BASE_URL. RunPod's key is
RUNPOD_API_KEY; under \`sst shell\` both come from the stage's secrets.`;

const exits = { 0: "done", 2: "usage or RunPod", 130: "interrupted" };
const stage = "npx sst shell --stage production -- node scripts/launch.mjs ocrlty";

/** `pod status|start|stop|use|watch`: the rented GPU that the model server runs on. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const pod = new Command("pod").description("the rented GPU: where it stands, start it, stop it");
  Help.add(pod, { about, examples: [`${stage} pod status`], exits });
  const named = (usage: string, description: string, examples: string[], more: object = {}) =>
    Help.add(Options.common(pod.command(usage).description(description), "JSON on one line"), {
      ...{ about, examples },
      exits: { ...exits, ...more },
    });
  const verb = (...of: Parameters<typeof named>) =>
    named(...of).option("--pod <id>", "the pod's id (default: POD_ID, else the one in VLLM_BASE_URL)", podId);
  verb("status", "what RunPod says of the pod, and whether its model server answers", [
    `${stage} pod status`,
    "npm run ocrlty -- pod status --url https://api.example.com",
  ]).action(async (options: Given) =>
    done(
      await (isManaged(context, options)
        ? ManagedPod.order(context, options, "status")
        : status(context, options)),
    ),
  );
  verb("start", "start the pod; from then on it costs money", [`${stage} pod start --wait`], {
    1: "the model server does not serve in time",
  })
    .option("--wait", "until its model server answers, for 15 minutes at most; Ctrl-C leaves the pod on")
    .action(async (options: Given) =>
      done(
        await (isManaged(context, options)
          ? ManagedPod.order(context, options, "start")
          : start(context, options)),
      ),
    );
  verb("stop", "stop the pod; its disk stays, and waiting work is kept", [`${stage} pod stop`]).action(
    async (options: Given) =>
      done(
        await (isManaged(context, options)
          ? ManagedPod.order(context, options, "stop")
          : stop(context, options)),
      ),
  );
  managed(context, named, done);
  return pod;
}

/** The verbs that only a manager knows. */
function managed(
  context: Context,
  named: (usage: string, description: string, examples: string[]) => Command,
  done: (status: Exit) => void,
): void {
  named("use", "use another pod from the next start on, such as one that was made anew", [
    "npm run ocrlty -- pod use xedezhzb9la3ye",
    "npm run ocrlty -- pod use --none",
  ])
    .argument("[id]", "the pod's id", podId)
    .option("--none", "no choice: POD_ID and POD_IDS decide")
    .action(async (id: string | undefined, options: Given) => {
      if ((id === undefined) === (options.none !== true))
        throw new UsageError("name a pod's id, or give --none");
      done(await ManagedPod.use(context, options, id ?? null));
    });
  named("watch", "a line each time something changes, until Ctrl-C", ["npm run ocrlty -- pod watch"]).action(
    async (options: Given) => {
      const { podPollMs } = Limits.times(Config.parse("app", context.env).OCRLTY_TIME_SCALE);
      done(await ManagedPod.watch(context, options, podPollMs));
    },
  );
}

/** Whether the server's manager is asked. @throws UsageError for an option that only RunPod's verbs have. */
function isManaged(context: Context, options: Given): boolean {
  const names = [options.url, options.key, options.profile].some((given) => given !== undefined);
  if (!names && Config.parse("app", context.env).POD_MANAGER !== "on") return false;
  if (options.pod !== undefined)
    throw new UsageError("the manager knows its pod: choose another one with `pod use ID`");
  if (options.wait)
    throw new UsageError("the manager starts the pod within a minute: see it with `pod watch`");
  return true;
}

function podId(text: string): string {
  if (!isPodId(text)) throw new InvalidArgumentError("A pod's id is letters, digits, - and _.");
  return text;
}

/** Everything that a verb needs, checked before any call to RunPod. */
interface Setting {
  id: string;
  runpod: RunPod.RunPod;
  /** Undefined: no address of a model server is set. */
  model: Config.Model | undefined;
  /** Whether that address belongs to another pod. */
  elsewhere: boolean;
  times: Limits.Times;
}

function settle(context: Context, options: Given): Setting {
  const { apiKey, apiUrl, podId: configured } = Settings.rentedOf(context.env);
  const model = Config.modelOf(context.env);
  if (apiKey === undefined)
    throw new UsageError(
      `RUNPOD_API_KEY is not set: on a stage it is the secret ${secrets.RUNPOD_API_KEY.secret} (npx sst secret set, deploy, npx sst shell)`,
    );
  const served = model === undefined ? undefined : RunPod.podIdOf(model.baseUrl);
  const id = options.pod ?? configured ?? served;
  if (id === undefined)
    throw new UsageError(
      "which pod? Name it with --pod, or set POD_ID: VLLM_BASE_URL is not an address of RunPod",
    );
  const elsewhere = served !== undefined && served !== id;
  // Under `sst shell` the address is the stage's, but POD_ID may come from a `.env` for another stage.
  if (elsewhere && options.pod === undefined)
    throw new UsageError("POD_ID and VLLM_BASE_URL name different pods: choose one with --pod");
  // The scale is the tests' own, as everywhere.
  const times = Limits.times(Config.parse("app", context.env).OCRLTY_TIME_SCALE);
  const runpod = { apiUrl, apiKey, timeoutMs: times.podOrderMs, signal: context.signal };
  return { id, runpod, model, elsewhere, times };
}

async function status(context: Context, options: Given): Promise<Exit> {
  const setting = settle(context, options);
  const [pod, served] = await Promise.all([
    RunPod.get(setting.runpod, setting.id),
    setting.model === undefined ? undefined : look(context, setting.model),
  ]);
  if (options.json) context.out(`${JSON.stringify(wire(pod, served))}\n`);
  else
    context.out(
      Table.table(
        [
          ["POD", "RUNPOD", "GPU", "USD/H", "SINCE (UTC)", "MODEL SERVER"],
          [
            pod.id,
            pod.status,
            pod.gpu === undefined ? "-" : `${pod.gpu.count} × ${pod.gpu.type}`,
            pod.costPerHour?.toFixed(2) ?? "-",
            Table.minute(since(pod)),
            served === undefined ? "VLLM_BASE_URL is not set" : statusOf(served),
          ],
        ],
        context,
      ),
    );
  if (setting.elsewhere) context.say(anotherPods);
  return exit.ok;
}

const anotherPods = "note: VLLM_BASE_URL is the address of another pod";

async function start(context: Context, options: Given): Promise<Exit> {
  const setting = settle(context, options);
  // Checked before the start: a pod that the command cannot wait for would run and cost money unnoticed.
  if (options.wait && setting.model === undefined)
    throw new UsageError("VLLM_BASE_URL is not set: there is nothing to wait for; leave out --wait");
  if (options.wait && setting.elsewhere)
    throw new UsageError(
      `VLLM_BASE_URL is another pod's: set it (secret ${secrets.VLLM_BASE_URL.secret}, deploy), or leave out --wait`,
    );
  const pod = await RunPod.start(setting.runpod, setting.id);
  if (!options.wait || setting.model === undefined) {
    report(context, options, { pod, what: "started; its model server answers in some minutes" });
    if (setting.elsewhere) context.say(anotherPods);
    return exit.ok;
  }
  const { probe, latest } = await serve(context, setting, setting.model, pod);
  report(context, options, { pod: latest, served: probe, what: `its model server ${statusOf(probe)}` });
  return probe.ok ? exit.ok : exit.items;
}

async function stop(context: Context, options: Given): Promise<Exit> {
  const setting = settle(context, options);
  const pod = await RunPod.stop(setting.runpod, setting.id);
  report(context, options, { pod, what: "stopped; waiting work stays in the queue and does not fail" });
  return exit.ok;
}

/**
 * Probes the model server until it answers, the time is over, or the pod has stopped again; reports changes on stderr.
 * An interruption only ends the wait.
 */
async function serve(
  context: Context,
  { runpod, id, times }: Setting,
  model: Config.Model,
  started: RunPod.Pod,
): Promise<{ probe: Probe.Probe; latest: RunPod.Pod }> {
  const giveUpAt = performance.now() + times.podWaitMs;
  let latest = started;
  let wasUp = RunPod.isUp(started.status);
  let said = "";
  try {
    for (;;) {
      const probe = await look(context, model);
      context.signal.throwIfAborted();
      if (probe.ok) return { probe, latest };
      latest = await again(runpod, id, latest);
      wasUp ||= RunPod.isUp(latest.status);
      const line = `waiting: RunPod says ${latest.status}, the model server ${statusOf(probe)}`;
      if (line !== said) context.say(line);
      said = line;
      const down = latest.status === "TERMINATED" || latest.status === "ERROR";
      if (down || (wasUp && latest.status === "EXITED")) {
        context.say("the pod went down again: its log is in RunPod's console");
        return { probe, latest };
      }
      if (performance.now() + times.podPollMs > giveUpAt) {
        context.say(
          "the model server did not answer in time; the pod stays on: its log is in RunPod's console",
        );
        return { probe, latest };
      }
      await sleep(times.podPollMs, undefined, { signal: context.signal });
    }
  } catch (error) {
    if (context.signal.aborted) context.say("no longer waiting; the pod stays on until `pod stop`");
    throw error;
  }
}

/** The pod's state from RunPod. One failed call is not a reason to stop waiting for the model server. */
async function again(runpod: RunPod.RunPod, id: string, latest: RunPod.Pod): Promise<RunPod.Pod> {
  try {
    return await RunPod.get(runpod, id);
  } catch (error) {
    if (error instanceof AppError && error.retry) return latest;
    throw error;
  }
}

const look = (context: Context, model: Config.Model) => Probe.probe(model, context.signal);

function report(
  context: Context,
  options: Given,
  { pod, served, what }: { pod: RunPod.Pod; served?: Probe.Probe; what: string },
): void {
  const cost = pod.costPerHour === undefined ? "" : `, ${pod.costPerHour.toFixed(2)} USD/h`;
  context.out(
    options.json ? `${JSON.stringify(wire(pod, served))}\n` : `${pod.id} (${pod.status}${cost}): ${what}\n`,
  );
}

const since = (pod: RunPod.Pod) => (RunPod.isUp(pod.status) ? pod.startedAt : undefined);

const statusOf = (probe: Probe.Probe) =>
  probe.ok ? `serves ${probe.models.join(", ")}` : `is away (${probe.error ?? "unavailable"})`;

/** `model_server` is null if it was not probed. */
function wire(pod: RunPod.Pod, served: Probe.Probe | undefined) {
  return {
    pod: pod.id,
    name: pod.name ?? null,
    status: pod.status,
    gpu: pod.gpu?.type ?? null,
    gpu_count: pod.gpu?.count ?? null,
    cost_per_hour_usd: pod.costPerHour ?? null,
    since: since(pod) ?? null,
    locked: pod.locked,
    model_server:
      served === undefined
        ? null
        : { ok: served.ok, latency_ms: served.latencyMs, models: served.models, error: served.error ?? null },
  };
}
