/** The labels that a command line names: a file, a ground truth by name or id, or a file under the data root. */
import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import type { Target } from "#cli/server/answer";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { defaultImageKey } from "#core/ground-truth/record";
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
  const wish = { name: basename(labels), file, imageKey: imageKey ?? defaultImageKey };
  return (await Put.put(context, server, wish)).ground_truth.gt_id;
}

/** Fields of the routes that make a run. */
interface RunLabels {
  gt_id?: string;
  gt_path?: string;
  gt_image_key?: string;
}

interface Found {
  /** The labels as the API takes them, if they are on the server already. */
  wire: RunLabels;
  /** Stores a local file, and returns the labels as the API takes them. Throws as `idOf`. */
  store(): Promise<RunLabels>;
}

/**
 * The same for a run that is to be started, in two steps: first everything is looked up and checked, then a local file is
 * stored. Labels may also be a file under the data root, such as `shared/labels.jsonl`: a text with a slash that is neither a
 * local file nor a name of a ground truth. Throws as `idOf`, and AppError for an image key that no record has.
 */
export async function ofRun(context: Context, server: Target, wish: Wish): Promise<Found> {
  const { labels, imageKey } = wish;
  const key = imageKey === undefined ? {} : { gt_image_key: imageKey };
  const file = resolve(context.cwd, labels);
  if (fs.existsSync(file)) {
    await Put.check(file, imageKey ?? defaultImageKey);
    const store = async () => ({ gt_id: await idOf(context, server, wish), ...key });
    return { wire: {}, store };
  }
  if (labels.includes("/") && !(await isName(context, server, labels))) {
    const wire = { gt_path: labels, ...key };
    return { wire, store: async () => wire };
  }
  const gtId = await idOf(context, server, wish);
  if (imageKey !== undefined) await checkKey(context, server, gtId, imageKey);
  const wire = { gt_id: gtId, ...key };
  return { wire, store: async () => wire };
}

const isName = async (context: Context, server: Target, name: string): Promise<boolean> =>
  (await Known.newest(context, server, { name })) !== undefined;

/** Reads the records with another member for the picture's name than they were stored with. */
async function checkKey(context: Context, server: Target, gtId: string, imageKey: string): Promise<void> {
  const known = await Known.find(context, server, { which: gtId });
  if (known.gt_image_key === imageKey) return;
  for await (const _ of Known.recordsOf(context, known, imageKey));
}
