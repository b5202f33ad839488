/** The models that `--models` names: where each is served, and the variables that hold its key and its price. */
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Config from "#core/config";
import * as Probe from "#core/vision/probe";

export interface Wanted {
  /**
   * Its name in the table: the model's name, with its place in `--models` if another server has a model of the same
   * name.
   */
  readonly label: string;
  readonly model: string;
  /** The server's address; it has no key, because an address that holds one is refused. */
  readonly url: string;
  /** Settings of a local loop that asks this model. */
  readonly env: Readonly<Record<string, string>>;
  /** The variable for its key, even if it is not set. */
  readonly keyFrom: string;
}

/** Each has a loop of its own, and all of their processes are in memory together. */
const most = 8;

/** Settings for preparing pictures and asking about them; they apply to every model. */
const shared = [
  ...[
    "LOOK",
    "VLLM_MAX_TOKENS",
    "VLLM_MAX_IMAGES",
    "VLLM_PROFILE",
    "VLLM_MAX_PIXELS",
    "VLLM_CONNECT_TIMEOUT_S",
    "VLLM_READ_TIMEOUT_S",
  ],
  ...["GPU_COST_PER_HOUR", "LOG_LEVEL", "OCRLTY_TIME_SCALE"],
] as const;

/**
 * `NAME=URL,NAME=URL`; a name without an address is served at `VLLM_BASE_URL`. Keys come from the environment:
 * `VLLM_API_KEY_1` for the first model and so on, else `VLLM_API_KEY`, which is sent to the server of `VLLM_BASE_URL` alone.
 * Throws UsageError, and ConfigError for a setting that is not valid.
 */
export function parse({ env }: Pick<Context, "env">, text: string): Wanted[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length > most) throw new UsageError(`--models takes at most ${most} models`);
  const named = parts.map((part) => {
    const at = part.indexOf("=");
    const [model, address] =
      at < 0 ? [part, undefined] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (model === "") throw new UsageError("--models takes NAME=URL,NAME=URL, and a name is missing");
    return { model, url: addressOf(env, model, address) };
  });
  const seen = new Set<string>();
  for (const { model, url } of named) {
    const same = `${model} ${url}`;
    if (seen.has(same)) throw new UsageError(`--models has ${Text.shown(model)} twice at the same address`);
    seen.add(same);
  }
  return named.map(({ model, url }, i) => {
    const isAlone = named.filter((each) => each.model === model).length === 1;
    const { keyFrom, values } = ownOf(env, url, i + 1);
    return {
      ...{ label: isAlone ? model : `${model} (${i + 1})`, model, url, keyFrom },
      env: { ...values, VLLM_BASE_URL: url, VLLM_MODEL: model },
    };
  });
}

/**
 * Each model once for each size of pictures: `0.8,1.6,full` are megapixels, and `full` is what the context leaves. Throws
 * UsageError for another text, or if these are too many.
 */
export function atSizes(models: readonly Wanted[], text: string): Wanted[] {
  const sizes = text.split(",").map((part) => part.trim());
  if (new Set(sizes).size < sizes.length) throw new UsageError("--pixels has a size twice");
  if (models.length * sizes.length > most)
    throw new UsageError(`--pixels: ${models.length} models at ${sizes.length} sizes are more than ${most}`);
  return models.flatMap((wanted) =>
    sizes.map((size) => {
      const { VLLM_MAX_PIXELS: _, ...env } = wanted.env;
      return { ...wanted, label: labelOf(wanted, size), env: { ...env, ...limitOf(size) } };
    }),
  );
}

const labelOf = ({ label }: Wanted, size: string) => `${label} ${size === "full" ? "full" : `${size} MP`}`;

function limitOf(size: string): { VLLM_MAX_PIXELS?: string } {
  if (size === "full") return {};
  const pixels = /^\d+(\.\d+)?$/.test(size) ? String(Math.round(Number(size) * 1_000_000)) : "";
  try {
    if (pixels === "") throw new Config.ConfigError([], "no number");
    Config.parse("model", { VLLM_BASE_URL: "http://127.0.0.1", VLLM_MAX_PIXELS: pixels });
  } catch (error) {
    if (!(error instanceof Config.ConfigError)) throw error;
    throw new UsageError(`--pixels takes megapixels from 0.066 to 100 and "full", such as 0.8,1.6,full`);
  }
  return { VLLM_MAX_PIXELS: pixels };
}

function addressOf(env: Context["env"], model: string, address: string | undefined): string {
  const given = address ?? env.VLLM_BASE_URL;
  if (!given)
    throw new UsageError(`where is ${Text.shown(model)} served? --models NAME=URL, or set VLLM_BASE_URL`);
  try {
    return Config.parse("model", { VLLM_BASE_URL: given }).VLLM_BASE_URL.replace(/\/+$/, "");
  } catch (error) {
    if (!(error instanceof Config.ConfigError) || address === undefined) throw error;
    // The text is not repeated: it may hold a password.
    throw new UsageError(
      `--models: the address of ${Text.shown(model)} must begin with http:// or https:// and hold no user, password or query: keys are in variables`,
    );
  }
}

/** The settings that are a model's own, by its place in `--models`. */
function ownOf(env: Context["env"], url: string, place: number) {
  const values: Record<string, string> = {};
  for (const name of shared) if (env[name]) values[name] = env[name];
  const price = env[`GPU_COST_PER_HOUR_${place}`];
  if (price) values.GPU_COST_PER_HOUR = price;
  checkPrice(values, price ? `GPU_COST_PER_HOUR_${place}` : "GPU_COST_PER_HOUR");
  const own = `VLLM_API_KEY_${place}`;
  const isDefault = env.VLLM_BASE_URL?.replace(/\/+$/, "") === url;
  const keyFrom = !env[own] && isDefault && env.VLLM_API_KEY ? "VLLM_API_KEY" : own;
  const key = env[keyFrom];
  if (key) values.VLLM_API_KEY = key;
  return { keyFrom, values };
}

function checkPrice(values: Readonly<Record<string, string>>, from: string): void {
  try {
    Config.parse("usage", values);
  } catch (error) {
    if (!(error instanceof Config.ConfigError)) throw error;
    throw new UsageError(error.message.replaceAll("GPU_COST_PER_HOUR", from));
  }
}

const probe = (wanted: Wanted, signal: AbortSignal): Promise<Probe.Probe> => {
  const model = Config.modelOf(wanted.env);
  if (model === undefined) throw new TypeError("a model without an address");
  return Probe.probe(model, signal, probeMs);
};

/** A proxy in front of a busy server may be slow. */
const probeMs = 10_000;

/** Checks whether the server lists its models now. */
export const answers = async (wanted: Wanted, signal: AbortSignal): Promise<boolean> =>
  (await probe(wanted, signal)).ok;

/** Throws UsageError for the first model that cannot be asked, with what to change. */
export async function check(models: readonly Wanted[], signal: AbortSignal): Promise<void> {
  for (const wanted of models) {
    const { ok, error, models: served } = await probe(wanted, signal);
    signal.throwIfAborted();
    const { label, model, url, keyFrom, env } = wanted;
    const at = Text.shown(`${label}: the server at ${url}`);
    if (error === "status_401" || error === "status_403")
      throw new UsageError(
        env.VLLM_API_KEY === undefined
          ? `${at} asks for a key: set ${keyFrom}`
          : `${at} refuses the key of ${keyFrom}`,
      );
    if (!ok) throw new UsageError(`${at} does not list its models (${error ?? "unavailable"}): does it run?`);
    if (!served.includes(model))
      throw new UsageError(
        `${at} does not serve it: it serves ${served.map(Text.shown).join(", ") || "no model"}`,
      );
  }
}
