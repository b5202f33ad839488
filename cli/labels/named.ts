/** The labels that a command line names: a file, a ground truth by name or id, or a file under the data root. */
import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import type { Target } from "#cli/server/answer";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Id from "#core/id";
import * as Known from "./known.ts";
import * as Put from "./put.ts";

interface Wish {
  labels: string;
  /** The member of a record that names its picture. */
  imageKey: string | undefined;
}

/**
 * The id of a ground truth. A local file is stored under its name, once for the same labels. Throws AppError and
 * UsageError for what is wrong with a file and for a name that does not exist, CallError.
 */
export async function idOf(context: Context, server: Target, { labels, imageKey }: Wish): Promise<string> {
  const file = resolve(context.cwd, labels);
  if (!fs.existsSync(file)) {
    if (Id.groundTruthIdPattern.test(labels))
      return (await Known.find(context, server, { which: labels })).gt_id;
    const known = await Known.newest(context, server, { name: labels });
    if (known !== undefined) return known.gt_id;
    throw new UsageError(`there is no file and no ground truth with this name: ${Text.shown(labels)}`);
  }
  const wish = { name: basename(labels), file, imageKey: imageKey ?? "file" };
  return (await Put.put(context, server, wish)).ground_truth.gt_id;
}

/** Fields of the routes that make a run. */
interface RunLabels {
  gt_id?: string;
  gt_path?: string;
  gt_image_key?: string;
}

/**
 * The same for a run that is to be started, which may also be measured by a file under the data root: what is not here
 * and has a slash, such as `shared/labels.jsonl`, is one. Throws as `idOf`.
 */
export async function ofRun(context: Context, server: Target, wish: Wish): Promise<RunLabels> {
  const { labels, imageKey } = wish;
  const isPath = labels.includes("/") && !fs.existsSync(resolve(context.cwd, labels));
  return {
    ...(isPath ? { gt_path: labels } : { gt_id: await idOf(context, server, wish) }),
    ...(imageKey === undefined ? {} : { gt_image_key: imageKey }),
  };
}
