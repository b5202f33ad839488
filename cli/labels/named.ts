/** The labels that a command line names: a file, a ground truth by name or id, or a file under the data root. */
import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import type { Target } from "#cli/server/answer";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { defaultImageKey } from "#core/ground-truth/schema";
import * as Id from "#core/id";
import * as Known from "./known.ts";
import * as Put from "./put.ts";

interface Wish {
  labels: string;
  /** The member of a record that names its picture. */
  imageKey: string | undefined;
}

/**
 * The id of a ground truth. A local file is stored under its name, once for the same labels, and its version is
 * reported. Throws AppError and UsageError for what is wrong with a file, for a name that does not exist, and for one
 * that a file and a ground truth have; CallError.
 */
export async function idOf(context: Context, server: Target, wish: Wish): Promise<string> {
  const meant = await meantBy(context, server, wish.labels);
  if (meant.gtId !== undefined) return meant.gtId;
  if (meant.file !== undefined) return stored(context, server, { ...wish, file: meant.file });
  throw missing(wish.labels);
}

const missing = (labels: string) =>
  new UsageError(`there is no file and no ground truth with this name: ${Text.shown(labels)}`);

/** Stores a file. */
async function stored(
  context: Context,
  server: Target,
  { labels, imageKey, file }: Wish & { file: string },
): Promise<string> {
  const name = basename(labels);
  const kept = await Put.put(context, server, { name, file, imageKey: imageKey ?? defaultImageKey });
  for (const line of Put.told(kept)) context.say(line);
  return kept.ground_truth.gt_id;
}

/** A local file, or a ground truth that exists. */
type Meant = { file: string; gtId?: never } | { gtId: string; file?: never } | { file?: never; gtId?: never };

async function meantBy(context: Context, server: Target, labels: string): Promise<Meant> {
  if (labels.trim() === "")
    throw new UsageError("--gt is empty: it takes a file of labels, a ground truth's name or its gt_id");
  if (Id.groundTruthIdPattern.test(labels))
    return { gtId: (await Known.find(context, server, { which: labels })).gt_id };
  const file = resolve(context.cwd, labels);
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat !== undefined && !mayBeName(labels)) return { file };
  if (stat === undefined && isPlace(labels)) throw new UsageError(`there is no file ${Text.shown(labels)}`);
  const known = await Known.newest(context, server, { name: labels });
  if (stat === undefined) return known === undefined ? {} : { gtId: known.gt_id };
  if (known === undefined) return { file };
  throw new UsageError(
    `${Text.shown(labels)} is here, and a ground truth is called so: write ./${Text.shown(labels)} for the file, or ${known.gt_id} for the labels that are stored`,
  );
}

/**
 * True for a file's name that may also be the name of a ground truth, because files of labels are stored under their
 * own names.
 */
const mayBeName = (labels: string) => !/[/\\]|\.(json|jsonl|ndjson|gz|csv|tsv)$/i.test(labels);

/**
 * True for a path that is neither a name nor a key under the data root: an absolute path, or one that begins with a dot
 * or `~`.
 */
const isPlace = (labels: string) => /^([/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\])/.test(labels);

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
 * The same for a run that will be started, in two steps: first the labels are looked up, and a local file is checked;
 * then the file is stored. Labels may also be a file under the data root, such as `shared/labels.jsonl`: a text with a
 * slash that is neither a local file nor a name of a ground truth. Throws as `idOf`.
 */
export async function ofRun(context: Context, server: Target, wish: Wish): Promise<Found> {
  const { labels, imageKey } = wish;
  const key = imageKey === undefined ? {} : { gt_image_key: imageKey };
  const { file, gtId } = await meantBy(context, server, labels);
  if (file !== undefined) {
    await Put.check(file, imageKey ?? defaultImageKey);
    const store = async () => ({ gt_id: await stored(context, server, { ...wish, file }), ...key });
    return { wire: {}, store };
  }
  if (gtId === undefined && labels.includes("/")) {
    const wire = { gt_path: labels, ...key };
    return { wire, store: async () => wire };
  }
  if (gtId === undefined) throw missing(labels);
  const wire = { gt_id: gtId, ...key };
  return { wire, store: async () => wire };
}
