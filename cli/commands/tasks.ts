import { Command } from "commander";
import * as z from "zod";
import * as Options from "#cli/batch/options";
import * as Run from "#cli/batch/run";
import { CallError } from "#cli/server/call-error";
import * as Server from "#cli/server/server";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Table from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";

interface TasksOptions extends Options.Common {
  schema?: boolean;
}

/** The fields that this command reads; the rest is passed on unchanged. */
const Info = z.looseObject({ task_id: z.string(), description: z.string() });
const List = z.looseObject({ items: z.array(Info) });
const Detail = Info.extend({
  schema: z.looseObject({}),
  fields: z.array(z.looseObject({ path: z.string(), kind: z.string().optional() })),
});

/** `tasks`: lists the tasks; `tasks ID`: one task with its fields. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    Options.common(
      new Command("tasks")
        .description("the tasks (GET /v1/tasks); with an id, one task with its fields")
        .argument("[task-id]", "one of them")
        .option("--schema", "with an id: only the JSON Schema that answers are checked against"),
      "a line of JSON a task; with an id the document on one line",
    ),
    {
      examples: [
        "npm run ocrlty -- tasks",
        "npm run ocrlty -- tasks receipt_v1",
        "npm run -s ocrlty -- tasks receipt_v1 --schema > receipt_v1.schema.json",
      ],
      exits: Help.callExits,
    },
  ).action(async (taskId: string | undefined, options: TasksOptions) => {
    const server = await Server.connect(context, options);
    try {
      const path = taskId === undefined ? "/v1/tasks" : `/v1/tasks/${encodeURIComponent(taskId)}`;
      const json = await Run.ask(server, { path, signal: context.signal });
      context.out(taskId === undefined ? list(json, options, context) : one(json, options, context));
    } finally {
      await server.close();
    }
    done(exit.ok);
  });
}

function list(json: unknown, { json: isJson }: TasksOptions, context: Context): string {
  const { items } = read(List, json);
  if (isJson) return items.map((item) => `${JSON.stringify(item)}\n`).join("");
  const rows = items.map(({ task_id: id, description }) => [id, description]);
  return Table.table([["TASK", "WHAT IT READS"], ...rows], context);
}

function one(json: unknown, { json: isJson, schema }: TasksOptions, context: Context): string {
  const detail = read(Detail, json);
  if (schema) return `${JSON.stringify(detail.schema, null, isJson ? 0 : 2)}\n`;
  if (isJson) return `${JSON.stringify(json)}\n`;
  const rows = detail.fields.map(({ path, kind = "-" }) => [path, kind]);
  const head = Text.shown(`${detail.task_id}: ${detail.description}`);
  return `${head}\n\n${Table.table([["FIELD", "KIND"], ...rows], context)}`;
}

function read<T>(schema: z.ZodType<T>, json: unknown): T {
  const answer = schema.safeParse(json);
  if (answer.success) return answer.data;
  throw new CallError("the answer is not a task: this is a server of another version", {
    scope: "server",
    code: "odd_answer",
  });
}
