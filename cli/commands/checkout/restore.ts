import * as fs from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import * as DataRoot from "#cli/batch/data-root";
import * as Progress from "#cli/batch/progress";
import { withDatabase } from "#cli/server/database";
import * as Failure from "#cli/server/failure";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Text from "#cli/terminal/text";
import * as Restore from "#core/backup/restore";
import * as Verify from "#core/backup/verify";
import type { Log } from "#core/log";

interface Options {
  dryRun?: boolean;
  revoked?: boolean;
  db?: string;
  json?: boolean;
}

const about = `
All of the archive is compared with its manifest before anything is written. Then each artifact goes to its own key,
where nothing lies (what lies there stays), and each extract gets the row by which it is found. Runs, their items and
evaluations are not restored: their artifacts lie in the bucket again, and no list shows them. Nor are keys: make those
that are missing again under the same ids. Extracts that were deleted since stay deleted, and what belongs to keys that
were revoked is left out. It may be repeated, and goes on where it was interrupted. Bucket and database are those of
S3_BUCKET and DATABASE_URL (a stage's under \`npx sst shell\`), else the local loop's.`;

/** Commands write no log; errors are thrown. */
const silent: Log = { info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** `restore FILE`: restores a backup directly to bucket and database, without the API. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    new Command("restore")
      .description("put a backup back: artifacts into the bucket, and the rows of extracts")
      .argument("<file>", "a tar.gz that `backup` made")
      .option("--dry-run", "compare the archive with its manifest and write nothing")
      .option("--revoked", "also what belongs to keys that are revoked")
      .option("--db <file-or-url>", "the database (default: DATABASE_URL, else the local loop's)")
      .option("--json", "the result on one line of JSON"),
    {
      about,
      examples: [
        "npm run ocrlty -- restore backup.tar.gz --dry-run",
        "npm run ocrlty -- restore backup.tar.gz",
        "npx sst shell --stage production -- node scripts/launch.mjs ocrlty restore backup.tar.gz",
      ],
      exits: {
        0: "done",
        1: "another object is where an artifact belongs, or the archive is incomplete (then nothing is written)",
        2: "usage, bucket or database",
        130: "interrupted",
      },
    },
  ).action(async (file: string, options: Options) => done(await restore(context, file, options)));
}

async function restore(context: Context, file: string, options: Options): Promise<Exit> {
  const path = resolve(context.cwd, file);
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isFile()) throw new UsageError(`${file} is not a file`);
  const open = () => fs.createReadStream(path);
  const verified = await Verify.verify(open);
  if (!verified.ok) {
    for (const problem of verified.problems) context.say(`error: ${file}: ${problem}`);
    if (options.json) context.out(Failure.line(Failure.damaged(file, verified.problems)));
    return exit.items;
  }
  context.say(
    `${file}: ${verified.entries} artifacts of ${verified.head?.created_at}, all as in the manifest`,
  );
  if (options.dryRun) {
    const facts = { file, ok: true, problems: [], entries: verified.entries, restored: null };
    context.out(options.json ? json(facts) : "nothing was written\n");
    return exit.ok;
  }
  const { restored, verified: again } = await putBack(context, open, verified.entries, options);
  // It was complete before, so another program is writing to it.
  for (const problem of again.problems) context.say(`error: ${file}: ${problem}`);
  const facts = { file, ok: true, problems: [], entries: verified.entries, restored };
  if (options.json) context.out(again.ok ? json(facts) : Failure.line(Failure.damaged(file, again.problems)));
  else context.out(report(restored));
  if (restored.without_row > 0)
    context.say(
      `${restored.without_row} artifacts of runs, items, attempts and evaluations went into the bucket; their rows are not restored`,
    );
  return again.ok && restored.conflicts === 0 ? exit.ok : exit.items;
}

async function putBack(context: Context, open: () => fs.ReadStream, total: number, options: Options) {
  let ended: Awaited<ReturnType<typeof Restore.restore>> | undefined;
  await withDatabase(context, options, { create: false }, ({ db }) =>
    DataRoot.withBucket(context, async (bucket) => {
      const progress = Progress.start(context, { label: "restore", unit: "artifacts", total });
      try {
        ended = await Restore.restore({ db, bucket }, open, {
          revoked: options.revoked === true,
          log: silent,
          signal: context.signal,
          onProgress: (restored) => progress.update(seen(restored)),
          onConflict: (conflict) => progress.say(`another object is at ${Text.shown(conflict)}: it stays`),
        });
      } finally {
        progress.stop();
      }
    }),
  );
  if (ended === undefined) throw new Error("the restore ended without a result");
  return ended;
}

const json = (facts: object) => `${JSON.stringify(facts)}\n`;

const seen = ({ written, already_there: there, conflicts, deleted, revoked }: Restore.Restored) =>
  written + there + conflicts + deleted + revoked;

function report(restored: Restore.Restored): string {
  const { written, already_there: there, conflicts, deleted, revoked, rows } = restored;
  const parts = [
    `${written} artifacts written`,
    `${there} there already`,
    `${rows} rows of extracts made`,
    ...(conflicts > 0 ? [`${conflicts} places taken by something else`] : []),
    ...(deleted > 0 ? [`${deleted} deleted since, left out`] : []),
    ...(revoked > 0 ? [`${revoked} of revoked keys, left out`] : []),
  ];
  return `${parts.join(", ")}\n`;
}
