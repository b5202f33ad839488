import { Command, Option } from "commander";
import * as z from "zod";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import { CallError } from "#cli/server/call-error";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";

interface UsageOptions extends Options.Common {
  from?: string;
  to?: string;
  groupBy?: string;
  keyId?: string;
}

const Sums = z.looseObject({
  items: z.number(),
  pages: z.number().optional(),
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  model_calls: z.number(),
  model_seconds: z.number(),
  image_bytes: z.number(),
  cost: z.number().nullish(),
  cost_provisional: z.boolean().optional(),
});
const Report = z.looseObject({
  from: z.string(),
  to: z.string(),
  group_by: z.string(),
  items: z.array(
    Sums.extend({
      day: z.string().optional(),
      key_id: z.string().optional(),
      task_id: z.string().optional(),
    }),
  ),
  total: Sums,
  unallocated: z.object({ usd: z.number().nullable(), provisional: z.boolean() }).nullish(),
  stored: z.object({ bytes: z.number(), objects: z.number() }).optional(),
});

/** `usage`: the usage of the model and its cost. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("usage")
        .description(
          "items, pages, tokens, model seconds and cost; with admin:all_keys of all keys (GET /v1/usage)",
        )
        .option("--from <day>", "first UTC day, as 2026-11-23 (default: 29 days before the last)")
        .option("--to <day>", "last UTC day (default: today)")
        .addOption(
          new Option("--group-by <what>", "one row each (default: day)").choices(["day", "key", "task"]),
        )
        .option("--key-id <id>", "only this key's, for admin:all_keys"),
    ),
    {
      examples: [
        "npm run ocrlty -- usage --group-by task",
        "npm run ocrlty -- usage --from 2026-11-01 --to 2026-11-30 --group-by key",
      ],
      exits: Help.callExits,
    },
  ).action(async (options: UsageOptions) => {
    const server = await Server.connect(context, options);
    try {
      const { from, to, groupBy, keyId } = options;
      const query = Object.entries({ from, to, group_by: groupBy, key_id: keyId }).filter(
        (pair): pair is [string, string] => pair[1] !== undefined,
      );
      const path = `/v1/usage?${new URLSearchParams(query)}`;
      const json = await Run.ask(server, { path, signal: context.signal });
      context.out(options.json ? `${JSON.stringify(json)}\n` : table(json, context));
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

function table(json: unknown, context: Context): string {
  const report = Report.safeParse(json);
  if (!report.success)
    throw new CallError("the answer is not a usage report: this is a server of another version", {
      scope: "server",
      code: "odd_answer",
    });
  const { group_by: groupBy, items, total, from, to, stored } = report.data;
  const sums = Table.table(
    [
      [groupBy.toUpperCase(), "ITEMS", "PAGES", "CALLS", "MODEL S", "PROMPT", "COMPLETION", "MB", "COST"],
      ...items.map((row) => rowOf(row.day ?? row.key_id ?? row.task_id ?? "-", row)),
      rowOf(`${from} to ${to}`, total),
    ],
    context,
  );
  const { unallocated } = report.data;
  const lines = [
    ...(unallocated?.usd ? [`paid for a pod that read nothing: ${unallocated.usd.toFixed(2)}`] : []),
    ...(total.cost_provisional ? ["the pod is up: what its present session costs is provisional (~)"] : []),
    ...(stored === undefined
      ? []
      : [`in the bucket now: ${stored.objects} objects, ${(stored.bytes / 1e6).toFixed(1)} MB`]),
  ];
  return lines.length === 0 ? sums : `${sums}${lines.join("\n")}\n`;
}

function rowOf(name: string, sums: z.output<typeof Sums>): string[] {
  return [
    name,
    String(sums.items),
    String(sums.pages ?? "-"),
    String(sums.model_calls),
    sums.model_seconds.toFixed(1),
    String(sums.prompt_tokens),
    String(sums.completion_tokens),
    (sums.image_bytes / 1e6).toFixed(1),
    sums.cost === null || sums.cost === undefined
      ? "-"
      : `${sums.cost.toFixed(2)}${sums.cost_provisional ? "~" : ""}`,
  ];
}
