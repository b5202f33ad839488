import { Command } from "commander";
import * as Options from "#cli/batch/options";
import * as Doctor from "#cli/server/doctor";
import type { Finding } from "#cli/server/finding";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import { paint, type Style } from "#cli/terminal/terminal";
import * as Text from "#cli/terminal/text";

const about = `
Checks and changes nothing: settings, files with secrets, the server and its key, versions, the result of /readyz, migrations of
the database, queues and dead letters, and secrets that end within 14 days. Of a stage all of it is seen under
\`npx sst shell\`; without it, of a server elsewhere, what its API tells. No loop is started for it.`;

const styles: Readonly<Record<Finding["state"], Style | undefined>> = {
  ok: "green",
  note: "yellow",
  wrong: "red",
  skipped: undefined,
};

/** `doctor`: what is wrong with this installation, and how to fix it. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("doctor").description("what is wrong here, and how to fix it"),
      'one JSON document: {"ok","findings":[{"check","state","found","cure"}]}',
    ),
    {
      about,
      examples: [
        "npm run ocrlty -- doctor",
        "npm run ocrlty -- doctor --profile production",
        "npx sst shell --stage production -- node scripts/launch.mjs ocrlty doctor",
      ],
      exits: { 0: "nothing is wrong", 1: "something is", 2: "usage", 130: "interrupted" },
    },
  ).action(async (options: Options.Common) => {
    const findings = await Doctor.examine(context, options);
    const wrong = findings.filter(({ state }) => state === "wrong").length;
    if (options.json) context.out(`${JSON.stringify({ ok: wrong === 0, findings })}\n`);
    else context.out(`${table(findings, context)}${wrong === 0 ? "nothing is wrong" : `${wrong} wrong`}\n`);
    done(wrong === 0 ? exit.ok : exit.items);
  });
}

/** For a terminal that is too narrow for the table: the cure is below the finding. */
const block = ([check, state, found, cure]: readonly string[]) =>
  `${state} ${check}: ${Text.shown(found ?? "")}${cure === "" ? "" : `\n    ${Text.shown(cure ?? "")}`}`;

function table(findings: readonly Finding[], context: Context): string {
  const typed = (cure: string | null) => (cure === null ? "" : Help.typed(cure, context.program));
  const rows = [
    ["CHECK", "STATE", "FOUND", "CURE"],
    ...findings.map(({ check, state, found, cure }) => [check, state, found, typed(cure)]),
  ];
  // A cure must not be cut.
  const layout = Table.layout(rows, {});
  const isNarrow = Table.overflows(rows, context);
  const isColored = context.colors?.out;
  return rows
    .map((row, i) => {
      if (isNarrow && i === 0) return "";
      const line = isNarrow ? block(row) : Table.line(row, layout).trimEnd();
      const style = i === 0 ? "bold" : styles[findings[i - 1]?.state ?? "skipped"];
      return `${style === undefined ? line : paint(isColored, style, line)}\n`;
    })
    .join("");
}
