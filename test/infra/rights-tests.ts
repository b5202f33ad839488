import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "#scripts/sst-platform";
import { type FunctionSpec, functions } from "#spec/functions";
import { type QueueSpec, queues } from "#spec/queues";
import { pascal } from "#spec/settings";
import * as IamTable from "./iam-table.ts";
import { eachStage, resourceOf, rightsOf } from "./looks.ts";
import type { Stages } from "./stages.ts";

const queueTable: Readonly<Record<string, QueueSpec>> = queues;
const specs = Object.entries<FunctionSpec>(functions);
const queueSpecs = Object.entries<QueueSpec>(queues);

/** The tests of what roles may do. infra.test.ts runs them, so that the stages are made once. */
export function rightsTests(stages: () => Stages): void {
  test("a function may send to the queues that functions.ts names, work on its own, write its own log, and nothing else", () => {
    const { production } = stages();
    for (const [name, { sends = [], asks = [] }] of specs) {
      const role = resourceOf(production, "aws:iam/role:Role", `${pascal(name)}Role`).inputs;
      expect(JSON.stringify(role.assumeRolePolicy), name).not.toContain(":root");
      const queue = (of: string, kind = "Queue") =>
        `:ocrlty-production-${pascal(of)}${kind}Queue${queueTable[of]?.fifo ? ".fifo" : ""}`;
      const own = queueSpecs
        .filter(([, spec]) => spec.subscription.function === name)
        .map(([of]) => queue(of));
      const dead = queueSpecs.filter(([, spec]) => spec.deadLetter?.function === name);
      const takes = [...own, ...dead.map(([of]) => queue(of, "DeadLetters"))];
      const take = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
      expect(rightsOf(production, pascal(name))).toEqual(
        [
          ...sends.map((of) => `sqs:SendMessage ${queue(of)}`),
          ...asks.map((of) => `sqs:GetQueueAttributes ${queue(of)}`),
          ...takes.flatMap((arn) => take.map((action) => `${action} ${arn}`)),
          ...own.map((arn) => `sqs:ChangeMessageVisibility ${arn}`),
          ...["CreateLogStream", "PutLogEvents"].map(
            (action) => `logs:${action} :log-group:/aws/lambda/ocrlty-production-${name}:*`,
          ),
        ].toSorted(),
      );
    }
  });

  test("no role of any stage has AWS's own policies, or a resource with a * except the streams of its log", () => {
    eachStage(stages(), (stage, name) => {
      const found = IamTable.statements(stage);
      expect(found.length, name).toBeGreaterThan(specs.length);
      const wide = found.flatMap(({ resources }) => resources.filter((arn) => arn.includes("*")));
      expect(
        wide.filter((arn) => !/^arn:aws:logs:[\w-]+:\d+:log-group:[\w/-]+:\*$/.test(arn)),
        name,
      ).toEqual([]);
      expect(
        found.flatMap(({ managed }) => managed),
        name,
      ).toEqual([]);
    });
  });

  test("docs/security.md has the table of these rights (npm test -- infra -u writes it)", async () => {
    const path = join(root, "docs", "security.md");
    const text = fs.readFileSync(path, "utf8").replaceAll("\r\n", "\n");
    const [before = "", rest] = text.split("<!-- iam:begin -->");
    const after = rest?.split("<!-- iam:end -->")[1];
    expect(after, "the marks of the table").toBeDefined();
    const table = IamTable.render(IamTable.statements(stages().production));
    await expect(`${before}<!-- iam:begin -->\n${table}\n<!-- iam:end -->${after}`).toMatchFileSnapshot(path);
  });
}
