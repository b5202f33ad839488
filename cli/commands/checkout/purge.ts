import type { Command } from "commander";
import * as DataRoot from "#cli/batch/data-root";
import { withDatabase } from "#cli/server/database";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Table from "#cli/terminal/table";
import * as Key from "#core/key/key";
import type { Log } from "#core/log";
import * as Purge from "#core/purge/purge";
import * as Stop from "#core/purge/stop";
import * as Limits from "#spec/limits";

interface Options {
  json?: boolean;
  db?: string;
  yes?: boolean;
}

/** Commands write no log; errors are thrown. */
const silent: Log = { info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** `keys purge ID`: removes everything of a tenant that leaves. Configures the given verb. */
export function purge(verb: Command, context: Context, done: (status: Exit) => void): Command {
  return verb
    .argument("<key-id>", "the key's id")
    .option("--yes", "required: it cannot be undone")
    .action(async (keyId: string, options: Options) => {
      if (!options.yes)
        throw new UsageError(
          `this revokes ${keyId} and removes all that belongs to it, in bucket and database: add --yes`,
        );
      await withDatabase(context, options, { create: false }, async ({ db }) => {
        const { revoked_at: revokedAt } = await Key.revoke(db, keyId);
        await Stop.stop(db, keyId);
        const { run_count: runs, extracts_running: extracts } = await Stop.going(db, keyId);
        const trustedMs = Limits.times().keyCacheMs - (Date.now() - Date.parse(revokedAt ?? ""));
        // Work that still runs would write objects after the purge.
        const why = [
          ...(trustedMs > 0
            ? [`it was revoked just now, and is still accepted for ${Math.ceil(trustedMs / 1000)} s`]
            : []),
          ...(runs + extracts > 0 ? [`${runs} runs and ${extracts} extracts of it have not ended`] : []),
        ];
        if (why.length > 0) {
          context.say(`nothing was removed yet: ${why.join("; ")}. Send the same again in a minute or two`);
          if (options.json)
            context.out(`${JSON.stringify({ key_id: keyId, purged: null, runs, extracts })}\n`);
          return done(exit.items);
        }
        const [purged, openUntil] = await DataRoot.withBucket(context, async (bucket) => {
          const { presignTtlS } = bucket.settings;
          const { keyCacheMs } = Limits.times();
          return [
            await Purge.purge({ db, bucket }, silent, keyId),
            Purge.openUntil(revokedAt ?? "", { presignTtlS, keyCacheMs }, Date.now()),
          ] as const;
        });
        context.out(
          options.json
            ? `${JSON.stringify({ key_id: keyId, purged })}\n`
            : `${Object.entries(purged)
                .map(([what, n]) => `${n} ${what}`)
                .join(", ")} removed; the id ${keyId} stays taken\n`,
        );
        if (openUntil !== undefined)
          context.say(
            `uploads with URLs that were signed before may still arrive until ${Table.minute(openUntil.toISOString())} UTC: send the same command once more then`,
          );
        done(exit.ok);
      });
    });
}
