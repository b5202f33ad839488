/** The files of a folder that were not sent: counted by reason, and named. */
import * as z from "zod";
import * as Text from "#cli/terminal/text";
import * as Skipped from "#core/run/skipped";

export const LeftOut = Skipped.Skipped.extend({
  /** Those that look like receipts: documents of an unsupported type, and pictures behind a link or a dot. */
  documents: z.int(),
});
export type LeftOut = z.output<typeof LeftOut>;

export const none = (): LeftOut => ({ ...Skipped.none(), documents: 0 });

/** Adds a file. `isDocument`: the user may have wanted it read. */
export function add(leftOut: LeftOut, file: string, reason: Skipped.Reason, isDocument: boolean): void {
  Skipped.add(leftOut, file, reason);
  if (isDocument) leftOut.documents += 1;
}

/** For each reason, the names that are known. */
const namedMost = 5;

/** Lines for the terminal: the total, and for each reason the count and the names. */
export function lines(leftOut: LeftOut | Skipped.Skipped, label: string): string[] {
  if (leftOut.count === 0) return [];
  const byReason = Object.entries(Skipped.reasons).flatMap(([reason, words]) => {
    const count = leftOut.by_reason[reason as Skipped.Reason] ?? 0;
    if (count === 0) return [];
    const names = leftOut.first.filter((each) => each.reason === reason).map(({ file }) => file);
    return [`  ${words} (${count})${names.length > 0 ? `: ${Text.several(names, namedMost, count)}` : ""}`];
  });
  return [`${leftOut.count} left out of ${Text.shown(label)}:\n${byReason.join("\n")}`];
}
