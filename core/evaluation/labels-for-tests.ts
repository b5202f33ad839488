import type { Label, Labels, Scalar } from "./label.ts";

/** Labels as people write them: null is absent, "?" unreadable, `{any: […]}` several values. */
export function labelsOf(record: Record<string, unknown>): Labels {
  return new Map(Object.entries(record).map(([name, value]) => [name, labelOf(value)]));
}

function labelOf(value: unknown): Label {
  if (value === null || value === "") return { kind: "absent" };
  if (value === "?") return { kind: "unreadable" };
  if (Array.isArray(value)) return { kind: "rows", rows: value.map(labelOf) };
  if (typeof value !== "object") return { kind: "value", accepted: [value as Scalar], orAbsent: false };
  const { any } = value as { any?: (Scalar | null)[] };
  if (!Array.isArray(any)) return { kind: "group", members: labelsOf(value as Record<string, unknown>) };
  const [first = "", ...rest] = any.filter((each) => each !== null);
  return { kind: "value", accepted: [first, ...rest], orAbsent: any.includes(null) };
}
