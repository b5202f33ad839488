/** A daily window, in minutes of a local day; it may go past midnight. */
export interface Window {
  from: number;
  to: number;
  timeZone: string;
}

const minute = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d) (\S+)$/;

/** `08:00-18:30 Europe/Berlin`; undefined if it is not such a window, or the time zone is not known. */
export function windowOf(text: string): Window | undefined {
  const found = minute.exec(text);
  if (found === null) return undefined;
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = found.slice(1, 5).map(Number);
  const timeZone = found[5] ?? "";
  const window = { from: fromHour * 60 + fromMinute, to: toHour * 60 + toMinute, timeZone };
  return window.from === window.to || !isTimeZone(timeZone) ? undefined : window;
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return true;
  } catch {
    return false;
  }
}

/** Whether it is within the window, by the clocks of its time zone. */
export function isWithin({ from, to, timeZone }: Window, now: Date): boolean {
  const format = { timeZone, hourCycle: "h23", hour: "2-digit", minute: "2-digit" } as const;
  const parts = new Intl.DateTimeFormat("en", format).formatToParts(now);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  const at = of("hour") * 60 + of("minute");
  return from < to ? at >= from && at < to : at >= from || at < to;
}
