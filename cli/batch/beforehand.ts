/** Checks by the server before anything is uploaded. */
import type { Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import type { Context } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { patiently } from "./retry.ts";
import * as Run from "./run.ts";

const limitMs = 60_000;

/**
 * Throws CallError if the server refuses what only it can judge: labels, the address of a webhook, and the rights of the
 * key that these need. It is a dry run, which starts nothing and needs no pictures.
 */
export async function check(
  context: Pick<Context, "say" | "signal">,
  server: Target,
  body: {
    gt_id?: string | undefined;
    gt_path?: string | undefined;
    webhook_url?: string | undefined;
    [name: string]: unknown;
  },
): Promise<void> {
  const { gt_id: gtId, gt_path: path, webhook_url: webhook } = body;
  if ((gtId ?? path ?? webhook) === undefined) return;
  const call = {
    method: "POST",
    path: "/v1/batch_extract",
    body: { ...body, dry_run: true },
    signal: context.signal,
  } as const;
  try {
    await patiently(context, limitMs, () => Run.ask(server, call));
  } catch (error) {
    // A name that was meant as a file on this machine was looked up as a key.
    if (path === undefined || !(error instanceof CallError) || error.own?.param !== "gt_path") throw error;
    const message = `${Text.shown(path)} is no file here, and as a key under the data root: ${error.message}`;
    throw new CallError(message, error);
  }
}
