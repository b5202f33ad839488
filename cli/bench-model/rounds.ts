/**
 * Lets the models read in turns, some receipts each, until all have read all. Only one of them is asked at a time, so
 * that none slows another down, and other load on the machine or its network affects all of them alike.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as Progress from "#cli/batch/progress";
import type * as Run from "#cli/batch/run";
import { CallError } from "#cli/server/call-error";
import type { Context } from "#cli/terminal/context";
import * as Config from "#core/config";
import * as Models from "./models.ts";
import * as Stand from "./stand.ts";

const pollMs = 200;
/** The command waits this long for a server that restarts. */
const awayMs = 60_000;
/** Longer than any receipt takes, with all of its attempts. */
const stalledMs = 15 * 60_000;

interface Turn {
  readonly stand: Stand.Stand;
  run: Run.Run;
}

const ended = new Set(["succeeded", "failed", "canceled"]);
const doneOf = ({ counts }: Run.Run): number => counts.succeeded + counts.failed + counts.canceled;
/** True if receipts are left: a run in its last steps needs no turn. While a run is planned, its total is 0. */
const isOpen = (run: Run.Run): boolean =>
  !ended.has(run.status) && (run.status === "planning" || doneOf(run) < run.counts.total);

/**
 * Runs all rounds. Throws CallError if a model's server stays away or nothing goes on, and the signal's reason if aborted.
 * @param size - receipts that a model reads in its turn.
 * @returns the number of rounds.
 */
export async function play(
  context: Context,
  stands: readonly Stand.Stand[],
  { label, size, receipts }: { label: string; size: number; receipts: number },
): Promise<number> {
  const { signal } = context;
  const turns: Turn[] = [];
  for (const stand of stands) turns.push({ stand, run: await Stand.runOf(stand, signal) });
  const total = receipts * stands.length;
  const progress = Progress.start(context, { label, unit: "receipts", total });
  const show = (note: string) =>
    progress.update(
      turns.reduce((sum, { run }) => sum + doneOf(run), 0),
      note,
    );
  try {
    for (let round = 0; ; round += 1) {
      if (!turns.some(({ run }) => isOpen(run))) return round;
      for (const turn of inOrder(turns, round))
        if (isOpen(turn.run)) await take(context, turn, size, (note) => show(`round ${round + 1}${note}`));
    }
  } finally {
    progress.stop();
  }
}

/** Each round begins with another model, so that no model always follows the same one. */
const inOrder = <T>(all: readonly T[], round: number): T[] => {
  const at = round % all.length;
  return [...all.slice(at), ...all.slice(0, at)];
};

/** One turn: `size` receipts, or what is left of them. */
async function take(
  { signal, env }: Context,
  turn: Turn,
  size: number,
  show: (note: string) => void,
): Promise<void> {
  const { stand } = turn;
  const target = Math.min(turn.run.counts.total || size, doneOf(turn.run) + size);
  const patience = new Patience(stand, Config.parse("app", env).OCRLTY_TIME_SCALE);
  const look = async () => {
    turn.run = await Stand.runOf(stand, signal);
    await patience.judge(turn.run, signal);
    show(turn.run.waiting_for ? `, ${stand.wanted.label} does not answer` : "");
    await sleep(pollMs, undefined, { signal });
  };
  stand.resume();
  try {
    do await look();
    while (isOpen(turn.run) && doneOf(turn.run) < target);
  } finally {
    stand.pause();
  }
  // The next model begins when this one has nothing left to do.
  while (stand.inFlight() > 0) await look();
  turn.run = await Stand.runOf(stand, signal);
}

/** Gives up on a model server that stays away, and on a run that stands still. */
class Patience {
  readonly #stand: Stand.Stand;
  readonly #scale: number;
  #done = -1;
  #movedAt = performance.now();
  #awayAt: number | undefined;

  constructor(stand: Stand.Stand, scale: number) {
    this.#stand = stand;
    this.#scale = scale;
  }

  async judge(run: Run.Run, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (doneOf(run) !== this.#done) {
      this.#done = doneOf(run);
      this.#movedAt = now;
    }
    const { label, url } = this.#stand.wanted;
    const read = `${doneOf(run)} of ${run.counts.total} receipts were read`;
    if (run.waiting_for !== "model_server" || (await Models.answers(this.#stand.wanted, signal)))
      this.#awayAt = undefined;
    else this.#awayAt ??= now;
    if (this.#awayAt !== undefined && now - this.#awayAt >= awayMs * this.#scale)
      throw gone(`${label}: the server at ${url} does not answer any more; ${read}, and nothing is compared`);
    if (now - this.#movedAt >= stalledMs)
      throw gone(`${label}: nothing was read for ${stalledMs / 60_000} minutes; ${read}`);
  }
}

const gone = (message: string) => new CallError(message, { scope: "server", code: "timeout" });
