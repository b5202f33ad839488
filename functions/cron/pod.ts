import type { Context } from "aws-lambda";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Log from "#core/log";
import * as Bill from "#core/pod/bill";
import { run } from "#core/pod/manager";
import { providerOf } from "#core/pod/providers";
import * as Settings from "#core/pod/settings";
import * as Queue from "#core/queue/queue";
import * as Limits from "#spec/limits";

/** Each minute: starts the rented GPU when work waits, and stops it when there is none. Once a day: looks at its bill. */
export async function handler(_event: unknown, context: Context): Promise<void> {
  const settings = Settings.managed();
  if (settings === undefined) return;
  const log = Log.create({ request_id: context.awsRequestId, function: context.functionName });
  const times = Limits.times(Config.app().timeScale);
  const startedAt = Date.now();
  const manager = {
    ...{ settings, times, log },
    db: Database.connect(),
    queues: Queue.connect(),
    model: Config.model(),
    provider: providerOf(settings, times.podOrderMs),
    costPerHour: Config.usage().gpuCostPerHour,
  };
  await run(manager, startedAt + times.podTurnMs);
  await Bill.check(manager, settings.podIds, startedAt);
}
