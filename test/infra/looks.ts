import { pascal } from "#spec/settings";
import * as IamTable from "./iam-table.ts";
import { environments, type Stage, type Stages } from "./stages.ts";
import type { Resource, Synthesis } from "./synthesis.ts";

/** All resources of a type. */
export function resourcesOf(stage: Synthesis, type: string): Resource[] {
  return stage.resources.filter((resource) => resource.type === type);
}

/** The one of this name. @throws when there is none. */
export function resourceOf(stage: Synthesis, type: string, name: string): Resource {
  const found = resourcesOf(stage, type).find((resource) => resource.name === name);
  if (found === undefined) throw new Error(`there is no ${type} ${name}`);
  return found;
}

/** Runs a check on each deployed stage. */
export function eachStage(all: Stages, check: (stage: Synthesis, name: Stage) => void): void {
  for (const name of Object.keys(environments) as Stage[]) check(all[name], name);
}

/** The ARN that the synthesis gives to a function of `spec/functions.ts`. */
export function functionArn(name: string): string {
  return `arn:aws:lambda:us-east-1:123456789012:function:${pascal(name)}Function`;
}

/**
 * The same from the name in a stage, such as `ocrlty-production-PlanFunction-abcdefgh`, which SST treats as a secret.
 */
export function arnOf(name: unknown): string {
  const text = typeof name === "object" && name !== null && "secret" in name ? name.secret : name;
  return functionArn(/^ocrlty-\w+-(\w+)Function-\w+$/.exec(String(text))?.[1] ?? String(text));
}

/** A function with its time, for comparisons. */
export const sizeOf = ({ name, inputs }: Resource): string => `${name} ${inputs.timeout} s`;

/** Event source mappings by the component of their queue. */
export function mappingsOf(stage: Synthesis): Map<string, Record<string, unknown>> {
  return new Map(
    stage.resources
      .filter(({ type }) => type === "aws:lambda/eventSourceMapping:EventSourceMapping")
      .map(({ inputs }) => [
        /-(\w+?)(?:\.fifo)?$/.exec(String(inputs.eventSourceArn))?.[1] ?? "",
        {
          ...inputs,
          functionName: (inputs.functionName as { secret?: string }).secret ?? inputs.functionName,
        },
      ]),
  );
}

/** Each right of a role as "action resource", with the resource without its account. */
export function rightsOf(stage: Synthesis, owner: string): string[] {
  return IamTable.statements(stage)
    .filter((statement) => statement.owner === owner)
    .flatMap(({ actions, resources }) =>
      actions.flatMap((action) => resources.map((arn) => `${action} ${short(arn)}`)),
    )
    .toSorted();
}

/** Without region and account. */
const short = (arn: string) => arn.replace(/^arn:aws:\w+:us-east-1:123456789012/, "");
