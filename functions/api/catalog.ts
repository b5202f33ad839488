import * as z from "zod";
import { AppError } from "#core/error";
import { TaskDetail, TaskSummary } from "#core/task/summary";
import { api } from "#functions/http";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import { scopes } from "#spec/routes";

const Me = z
  .object({ key_id: z.string(), role: z.string(), scopes: z.array(z.enum(scopes)) })
  .meta({ id: "Me" });

/** Loaded on demand: half of this function's calls are `GET /v1/me`, which needs no tasks. */
const load = () => import("#core/task/task");

export const operations = {
  "GET /v1/me": operation({
    summary: "Who is calling",
    description: "The calling key's id, role and scopes; the first call of a new client.",
    responses: { 200: { description: "The key's id, role and scopes", schema: Me } },
    run: ({ call: { principal } }) => ({
      status: 200,
      body: { key_id: principal.keyId, role: principal.role, scopes: principal.scopes },
    }),
  }),
  "GET /v1/tasks": operation({
    summary: "The tasks",
    description:
      "The document types that can be extracted. A released task's schema and prompt never change: a change is released as a new task.",
    responses: { 200: { description: "All tasks", schema: z.object({ items: z.array(TaskSummary) }) } },
    run: async () => {
      const Task = await load();
      return { status: 200, body: { items: Task.list().map(Task.summary) } };
    },
  }),
  "GET /v1/tasks/{task_id}": operation({
    summary: "One task with its schema",
    description:
      "The JSON Schema that answers are checked against, the one that constrains the model, and the fields with their kinds.",
    params: z.object({ task_id: Names.taskId }),
    responses: { 200: { description: "The task", schema: TaskDetail } },
    run: async ({ params }) => {
      const Task = await load();
      const task = Task.get(params.task_id);
      if (task === undefined) {
        const { unknownTask } = await import("#core/task/unknown");
        throw new AppError("not_found", unknownTask(params.task_id, Task.ids()), { param: "task_id" });
      }
      return { status: 200, body: Task.detail(task) };
    },
  }),
};

export const handler = api(operations);
