/** Whether the model server fetches pictures by URL, for `ocrlty doctor`: it is asked once, with a picture of our own. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import { from } from "#core/error";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import type { Env } from "#local/home/home";
import { packageRoot } from "#local/home/home";
import * as Settings from "#local/home/settings";
import { type Finding, finding } from "./finding.ts";

const timeoutMs = 60_000;
const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const guide = "start it with --allowed-media-domains (docs/gpu.md, Pictures by URL)";

/**
 * Nothing where `VLLM_IMAGE_URLS` is off, or server and bucket are not both known here. The picture is put under
 * `inputs/tmp/` and removed. What the server says is not shown: it quotes the signed URL.
 */
export async function findings(env: Env): Promise<Finding[]> {
  if (env.VLLM_IMAGE_URLS !== "on" || !env.VLLM_BASE_URL || !Settings.hasBucket(env)) return [];
  const known = settingsOf(env);
  if (known === undefined) return [];
  const { model } = known;
  const bucket = Bucket.open(known.bucket, timeoutMs);
  const rel = `inputs/tmp/_doctor/${Id.create()}`;
  try {
    const body = fs.readFileSync(join(packageRoot, "samples", "cord-steakhouse.jpg"));
    await Bucket.replace(bucket, silent, rel, { body, contentType: "image/jpeg" });
    const status = await asked(model, await Bucket.link(bucket, rel, 2 * (timeoutMs / 1000)));
    if (status === 200) return [finding("image_urls", "ok", "the model server fetches from the bucket")];
    const found = `the model server did not take a picture by its URL (${status ?? "no answer"}): it gets bytes`;
    return [finding("image_urls", "wrong", found, guide)];
  } catch (thrown) {
    return [finding("image_urls", "wrong", `the bucket does not take a picture (${from(thrown).code})`)];
  } finally {
    await Bucket.remove(bucket, silent, rel).catch(() => undefined);
    bucket.client.destroy();
  }
}

/** Undefined where a setting is wrong: that is among the findings already. */
function settingsOf(env: Env) {
  try {
    return { model: Config.modelOf(env), bucket: Config.bucketOf(env) };
  } catch (error) {
    if (error instanceof Config.ConfigError) return undefined;
    throw error;
  }
}

/** The status of a call with this picture and an answer of one token; undefined if none came. */
async function asked(model: Config.Model | undefined, url: string): Promise<number | undefined> {
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url } },
  ];
  try {
    const answer = await fetch(`${model?.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${model?.apiKey ?? ""}` },
      body: JSON.stringify({ model: model?.model, max_tokens: 1, messages: [{ role: "user", content }] }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return undefined;
  }
}
