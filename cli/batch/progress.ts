/** Shows progress: a bar in a terminal, an occasional line in a file or pipe. */
import { MultiBar } from "cli-progress";
import type { Context } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";

export interface Progress {
  /** `note` is shown beside the numbers. */
  update(done: number, note?: string, total?: number): void;
  /** Prints a line without breaking the bar. */
  say(line: string): void;
  stop(): void;
}

/** The rate is that of the last minute: the rate before a pause or a resume does not help to estimate the end. */
const windowMs = 60_000;
const lineEveryMs = 10_000;
/** A rate over less time than this would be random. */
const leastRateMs = 2_000;

/** Starts showing; `stop()` must be called. */
export function start(
  context: Pick<Context, "say" | "terminal">,
  about: { label: string; unit: string; total: number; done?: number },
): Progress {
  const meter = new Meter(about.done ?? 0);
  const { terminal } = context;
  return terminal === undefined ? lines(context, about, meter) : bar(terminal, about, meter);
}

function lines(
  context: Pick<Context, "say">,
  about: { label: string; unit: string; total: number; done?: number },
  meter: Meter,
): Progress {
  let lastAt = performance.now();
  let last = "";
  let lastNote = "";
  let lastDone = about.done ?? 0;
  let { total } = about;
  const tell = (done: number, note: string) => {
    const text = [`${about.label} ${done}/${total}`, note, ...meter.figures(done, total, about.unit)]
      .filter(Boolean)
      .join(", ");
    if (text !== last) context.say(text);
    last = text;
    lastAt = performance.now();
  };
  return {
    update: (done, note = "", newTotal = total) => {
      total = newTotal;
      meter.add(done);
      const isDue = performance.now() - lastAt >= lineEveryMs;
      const isNew = note !== lastNote && note !== "";
      if (isDue || isNew || (done === total && done !== lastDone)) tell(done, note);
      lastNote = note;
      lastDone = done;
    },
    say: context.say,
    stop: () => {},
  };
}

function bar(
  terminal: NodeJS.WriteStream,
  about: { label: string; unit: string; total: number; done?: number },
  meter: Meter,
): Progress {
  const bars = new MultiBar({
    stream: terminal,
    format: `${Text.shown(about.label)} {bar} {value}/{total} {figures}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    // The program itself handles signals.
    gracefulExit: false,
  });
  const shown = bars.create(about.total, about.done ?? 0, { figures: "" });
  return {
    update: (done, note = "", total = about.total) => {
      meter.add(done);
      shown.setTotal(total);
      shown.update(done, {
        figures: [Text.shown(note), ...meter.figures(done, total, about.unit)].filter(Boolean).join(", "),
      });
    },
    say: (line) => bars.log(`${Text.message(line)}\n`),
    stop: () => bars.stop(),
  };
}

/** The rate, from what was done within the last minute. */
export class Meter {
  readonly #samples: { at: number; done: number }[] = [];
  readonly #now: () => number;

  constructor(done: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#samples.push({ at: now(), done });
  }

  add(done: number): void {
    const at = this.#now();
    this.#samples.push({ at, done });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > windowMs) this.#samples.shift();
  }

  /** Items a second; undefined until it is known. */
  rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.done <= first.done) return undefined;
    if (last.at - first.at < leastRateMs) return undefined;
    return ((last.done - first.done) * 1000) / (last.at - first.at);
  }

  figures(done: number, total: number, unit: string): string[] {
    const rate = this.rate();
    if (rate === undefined) return [];
    const speed = rate >= 1 ? `${rate.toFixed(1)} ${unit}/s` : `${(rate * 60).toFixed(1)} ${unit}/min`;
    return done < total ? [speed, `${duration((total - done) / rate)} left`] : [speed];
  }
}

/** A duration for people: `40 s`, `5 min`, `3 h 20 min`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
