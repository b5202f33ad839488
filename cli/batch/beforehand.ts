/** Checks by the server before anything is uploaded. */
import type { Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import type { Context } from "#cli/terminal/context";
import { patiently } from "./retry.ts";
import * as Run from "./run.ts";

/** The form of a `manifest_ref`; no server has made this one. */
const noManifest = `upload_${"0".repeat(24)}`;
const limitMs = 60_000;

/**
 * Throws CallError if the server refuses what only it can judge: labels below its data root, the address of a webhook, and
 * the rights of the key that these need. It starts no run: the call names a manifest that does not exist, which a server
 * looks up after everything else.
 */
export async function check(
  context: Pick<Context, "say" | "signal">,
  server: Target,
  body: { gt_path?: string | undefined; webhook_url?: string | undefined; [name: string]: unknown },
): Promise<void> {
  if (body.gt_path === undefined && body.webhook_url === undefined) return;
  const call = {
    method: "POST",
    path: "/v1/batch_extract",
    body: { ...body, manifest_ref: noManifest },
    signal: context.signal,
  } as const;
  try {
    await patiently(context, limitMs, () => Run.ask(server, call, [200, 202]));
  } catch (error) {
    if (!(error instanceof CallError) || error.own?.param !== "manifest_ref") throw error;
  }
}
