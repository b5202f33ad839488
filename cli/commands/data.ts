import * as fs from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import * as z from "zod";
import * as Folder from "#cli/batch/folder";
import * as Options from "#cli/batch/options";
import * as Progress from "#cli/batch/progress";
import { onceInAWhile } from "#cli/batch/retry";
import * as Run from "#cli/batch/run";
import * as Upload from "#cli/batch/upload";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import { needsCheckout } from "#cli/terminal/needs-checkout";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import * as Type from "#core/image/type";
import { shapeProblem } from "#core/upload/data-root";
import { home } from "#local/home/home";
import * as Limits from "#spec/limits";

interface PutOptions extends Options.Common {
  as?: string;
  shared?: boolean;
}

const about = `
\`put\` goes through the API, like any upload: into the key's own folder, or with --shared and the scope admin:all_keys into the one
that every key sees. What is there already stays as it is: nothing is ever written over. A run reads such a folder with
"images_dir". What is not a picture by its first bytes is left out and counted by reason. \`ls\` and \`rm\` have no route in the API: they use the bucket itself, that of S3_BUCKET (a stage's under
\`npx sst shell\`), else the local loop's; they see the folders of all keys.`;

const exits = { 0: "done", 2: "usage, server, bucket or network", 130: "interrupted" };
const examples = {
  put: ["npm run ocrlty -- data put receipts --as november"],
  ls: ["npm run ocrlty -- data ls shared/"],
  rm: ["npx sst shell --stage production -- node scripts/launch.mjs ocrlty data rm client-1/november --yes"],
};

/** `data put|ls|rm`: pictures that belong to no run, for \`images_dir\` and \`image_key\`. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const data = Help.add(
    new Command("data").description("pictures that stay in the bucket, for runs over a folder (images_dir)"),
    { about, examples: Object.values(examples).flat(), exits },
  );
  const verb = (name: keyof typeof examples, description: string, more: object = {}) =>
    Help.add(data.command(name).description(description), {
      about,
      examples: examples[name],
      exits: { ...exits, ...more },
    });
  Options.common(
    verb("put", "upload the pictures of a folder, with its subfolders", { 1: "a document was left out" })
      .argument("<dir>", "the folder")
      .option("--as <name>", "what it is called there (default: the folder's own name)")
      .option("--shared", "where every key sees it (admin:all_keys)"),
  ).action(async (dir: string, options: PutOptions) => done(await put(context, dir, options)));
  verb("ls", "list pictures, read directly from the bucket")
    .argument("[prefix]", "only keys with this prefix: shared/, client-1/november")
    .option("--json", "a line of JSON a picture")
    .action(async (prefix: string | undefined, options: { json?: boolean }) =>
      done(await ls(context, prefix ?? "", options)),
    );
  verb("rm", "remove a folder or a picture from the bucket itself", { 1: "files are left there" })
    .argument("<name>", "as ls shows it: client-1/november")
    .option("--yes", "required: it cannot be undone")
    .option("--json", "the result on one line of JSON")
    .action(async (name: string, options: { yes?: boolean; json?: boolean }) =>
      done(await rm(context, name, options)),
    );
  return data;
}

const Me = z.looseObject({ key_id: z.string() });

async function put(context: Context, dir: string, options: PutOptions): Promise<Exit> {
  const path = resolve(context.cwd, dir);
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`${dir} is not a folder`);
  const name = checked(options.as ?? basename(path));
  const below = options.shared ? `shared/${name}` : name;
  const { files, leftOut } = Folder.pictures(path, {
    label: dir,
    say: context.say,
    wrong: (file) => {
      const shape = shapeProblem(`${below}/${file}`);
      return shape === undefined ? [] : [`is a name that it cannot have there: ${shape}`];
    },
  });
  const server = await Server.connect(context, options);
  try {
    const me = Me.parse(await Run.ask(server, { path: "/v1/me", signal: context.signal }));
    const imagesDir = options.shared ? below : `${me.key_id}/${name}`;
    const counts = await putAll(context, server, { dir: path, files, below });
    const facts = {
      images_dir: imagesDir,
      files: files.length,
      ...counts,
      skipped: leftOut.count,
      left_out: leftOut,
    };
    context.out(
      options.json
        ? `${JSON.stringify(facts)}\n`
        : `${counts.uploaded} uploaded, ${counts.already_there} there already\n"images_dir": ${Text.shown(JSON.stringify(imagesDir))}\n`,
    );
    const odd = files.filter(({ name }) => Type.promisedBy(name) === undefined).length;
    if (odd > Limits.batches.folderLooks)
      context.say(
        `${odd} have no extension of a picture, and images_dir looks into ${Limits.batches.folderLooks} of such: name them in a manifest, by image_key`,
      );
    return leftOut.documents > 0 ? exit.items : exit.ok;
  } finally {
    await server.close();
  }
}

async function putAll(
  context: Context,
  server: Server.Server,
  { dir, files, below }: { dir: string; files: Folder.Pictures["files"]; below: string },
): Promise<{ uploaded: number; already_there: number }> {
  const counts = { uploaded: 0, already_there: 0 };
  const progress = Progress.start(context, { label: "upload", unit: "files", total: files.length });
  const say = onceInAWhile(progress.say);
  try {
    await Upload.each(files, context, async ({ name, mimeType }, signal) => {
      const bytes = await Upload.bytesOf(join(dir, name));
      const wish = { kind: "data", mimeType, path: `${below}/${name}` } as const;
      const { taken } = await Upload.upload({ say, signal }, server, wish, bytes);
      counts[taken ? "already_there" : "uploaded"] += 1;
      progress.update(counts.uploaded + counts.already_there);
    });
  } finally {
    progress.stop();
  }
  return counts;
}

async function ls(context: Context, prefix: string, { json }: { json?: boolean }): Promise<Exit> {
  // As for the other verbs; a partial name is fine, because it is a prefix of keys.
  if (prefix !== "") checked(prefix);
  const DataRoot = await bucketOf(context);
  await DataRoot.withBucket(context, async (bucket) => {
    for await (const object of DataRoot.list(context, bucket, prefix)) {
      const { image_key: key, bytes, modified_at: modifiedAt } = object;
      // The key comes last, because it may be long and is shown whole.
      context.out(
        json
          ? `${JSON.stringify(object)}\n`
          : `${Table.minute(modifiedAt)}  ${String(bytes).padStart(9)}  ${Text.shown(key)}\n`,
      );
    }
  });
  return exit.ok;
}

async function rm(
  context: Context,
  name: string,
  { yes, json }: { yes?: boolean; json?: boolean },
): Promise<Exit> {
  const key = checked(name);
  if (!yes) throw new UsageError(`this removes ${key} and all below it for good: add --yes`);
  let removed = 0;
  let kept = 0;
  const DataRoot = await bucketOf(context);
  await DataRoot.withBucket(context, async (bucket) => {
    // The prefix `a` also matches `ab`.
    for await (const object of DataRoot.list(context, bucket, key)) {
      if (object.image_key !== key && !object.image_key.startsWith(`${key}/`)) continue;
      if (await DataRoot.remove(bucket, object.image_key)) removed += 1;
      else kept += 1;
    }
  });
  if (removed + kept === 0) throw new UsageError(`there is nothing called ${key}`);
  if (kept > 0)
    context.say(
      `${kept} left: they are files of a folder that is served read-only (${home(context.env).dataRoot}): remove them there`,
    );
  context.out(
    json
      ? `${JSON.stringify({ removed, kept })}\n`
      : `${removed} removed${kept > 0 ? `, ${kept} left` : ""}\n`,
  );
  return kept > 0 ? exit.items : exit.ok;
}

/** Direct access to the bucket: only in a checkout, and loaded on demand. */
async function bucketOf(context: Context): Promise<typeof import("#cli/batch/data-root")> {
  if (context.isClient) throw new UsageError(needsCheckout("data ls|rm"));
  return import("#cli/batch/data-root");
}

/** Checks the name. Throws UsageError that says what is wrong with it. */
function checked(name: string): string {
  const trimmed = name.replace(/\/+$/, "");
  const wrong = shapeProblem(trimmed);
  if (wrong !== undefined) throw new UsageError(`${name}: ${wrong}`);
  return trimmed;
}
