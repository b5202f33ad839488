import * as GroundTruthRecord from "./record.ts";

/** A label that differs between the versions; undefined on the side that has none. */
interface Change {
  path: string;
  before: unknown;
  after: unknown;
}

/** The differences between two versions, record by record. */
export interface Changes {
  added: string[];
  removed: string[];
  changed: { image: string; labels: Change[] }[];
  same: number;
}

/**
 * Compares two versions of a ground truth by the names of their pictures. Records of the same name are compared in
 * their order; records without a name are treated as if they had one name. Holds the first version's labels in memory.
 */
export async function compare(
  before: AsyncIterable<GroundTruthRecord.GroundTruth> | Iterable<GroundTruthRecord.GroundTruth>,
  after: AsyncIterable<GroundTruthRecord.GroundTruth> | Iterable<GroundTruthRecord.GroundTruth>,
): Promise<Changes> {
  const old = new Map<string, string[]>();
  for await (const record of before) {
    const text = JSON.stringify(GroundTruthRecord.writtenMembers(record.labels));
    const there = old.get(nameOf(record));
    if (there === undefined) old.set(nameOf(record), [text]);
    else there.push(text);
  }
  const changes: Changes = { added: [], removed: [], changed: [], same: 0 };
  for await (const record of after) {
    const image = nameOf(record);
    const text = old.get(image)?.shift();
    if (text === undefined) changes.added.push(image);
    else {
      const labels = differences(JSON.parse(text), GroundTruthRecord.writtenMembers(record.labels));
      if (labels.length === 0) changes.same += 1;
      else changes.changed.push({ image, labels });
    }
  }
  for (const [image, texts] of old) changes.removed.push(...texts.map(() => image));
  return changes;
}

const nameOf = ({ image }: GroundTruthRecord.GroundTruth): string => image ?? "(no name)";

function differences(before: unknown, after: unknown, path = ""): Change[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const [a, b] = [membersOf(before), membersOf(after)];
  if (a === undefined || b === undefined) return [{ path, before, after }];
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].flatMap((name) => differences(a[name], b[name], path === "" ? name : `${path}.${name}`));
}

/** The members of a group or of rows; a list of accepted values is one label. */
function membersOf(value: unknown): Record<string, unknown> | undefined {
  if (Array.isArray(value)) return { ...value } as Record<string, unknown>;
  if (typeof value !== "object" || value === null || Object.hasOwn(value, "any")) return undefined;
  return value as Record<string, unknown>;
}
