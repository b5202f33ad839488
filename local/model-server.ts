import * as Config from "#core/config";
import { tooLargeFor } from "#core/task/context";
import { probe } from "#core/vision/probe";

/**
 * What the operator should know about their own model server before the first call: that it does not answer yet, serves
 * another model, or has too small a context. Asks it once, for 2 s at most.
 */
export async function notes(env: Record<string, string | undefined>): Promise<string[]> {
  const model = Config.modelOf(env);
  if (model === undefined) return [];
  const { ok, error, models, maxModelLen } = await probe(model);
  if (error === "model_missing")
    return [`wrong name: the server lists ${models.slice(0, 5).join(", ")}. Set VLLM_MODEL to one of them`];
  if (!ok) return [`it does not answer yet (${error ?? "unavailable"}): calls wait for it`];
  const small = maxModelLen === undefined ? [] : tooLargeFor(maxModelLen);
  if (small.length === 0) return [];
  return [`its context of ${maxModelLen?.toLocaleString("en")} tokens is small for ${small.join(", ")}`];
}
