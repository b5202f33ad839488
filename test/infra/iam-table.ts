import { pascal } from "#spec/settings";
import type { Synthesis } from "./synthesis.ts";

/** One statement of a role's policies; the mocks' policy documents have no other fields. */
export interface Statement {
  /** The role's component: a function or the clock. */
  owner: string;
  actions: string[];
  resources: string[];
  /** AWS's own policies, whose statements we do not control. */
  managed: string[];
}

interface Policy {
  statements?: { actions: string[]; resources: string[]; effect?: string }[];
}

/**
 * The rights of a stage's roles.
 * @throws if a policy is attached to a role from outside, because the role's own list must be complete.
 */
export function statements({ resources }: Synthesis): Statement[] {
  const roles = resources.filter(({ type }) => type === "aws:iam/role:Role");
  const attached = resources.filter(({ type }) => /^aws:iam\/.*(Policy|PolicyAttachment)$/.test(type));
  if (attached.length > 0) throw new Error(`${attached[0]?.name} is attached to a role`);
  return roles.flatMap((role) => {
    const owner = role.name.replace(/Role$/, "");
    const inline = (open(role.inputs.inlinePolicies) ?? []) as { policy: string }[];
    const managed = (open(role.inputs.managedPolicyArns) ?? []) as string[];
    return [
      ...inline.flatMap(({ policy }) =>
        ((JSON.parse(policy) as Policy).statements ?? []).map(({ actions, resources: on }) => ({
          owner,
          actions,
          resources: on,
          managed: [],
        })),
      ),
      ...(managed.length > 0 ? [{ owner, actions: [], resources: [], managed }] : []),
    ];
  });
}

/** The statements as a sorted Markdown table, without values that differ between accounts and stages. */
export function render(of: readonly Statement[]): string {
  const rows = of.map(({ owner, actions, resources, managed }) => {
    const may = [...actions, ...managed].map((name) => `\`${name}\``).join(", ");
    return `| \`${owner}\` | ${may} | ${resources.map((arn) => readable(arn, owner)).join(", ")} |`;
  });
  return [
    "| role of | may | on |",
    "|---|---|---|",
    ...rows.toSorted(),
    "",
    "`…:*`: a log group's streams get their names from Lambda, so that nothing narrower can be written down. No other",
    "resource has a `*`.",
  ].join("\n");
}

/** An ARN as a resource name for readers; an unknown kind stays as it is. */
function readable(arn: string, owner: string): string {
  const queue = /:sqs:.*-(\w+)Queue(\.fifo)?$/.exec(arn)?.[1];
  if (queue !== undefined) return `queue \`${queue}\``;
  const log = /^arn:aws:logs:.*:log-group:\/aws\/lambda\/[\w-]+-(\w+):\*$/.exec(arn)?.[1];
  if (log !== undefined && pascal(log) === owner) return "streams of its own log group (`…:*`)";
  const called = /:lambda:.*:function:(\w+)Function$/.exec(arn)?.[1];
  return called === undefined ? `\`${arn}\`` : `function \`${called}\``;
}

/** A value that the mocks mark as secret, because it was made from a secret. */
function open(value: unknown): unknown {
  return typeof value === "object" && value !== null && "secret" in value ? value.secret : value;
}
