import type { Comparison } from "#core/evaluation/compare/compare";
import * as Script from "./script.ts";

/*
 * The same figures for a subset of the documents, such as those of one folder, one merchant or one tag.
 */

/** Whether a picture can be read well, and otherwise why not (`blurred`, `dark`, …). */
interface Quality {
  ok: boolean;
  reasons: readonly string[];
}

/** What is known of an item in addition to its answer. Without a property the item has no slice of that kind. */
export interface About {
  /** The item's name; its folder is the part before the last slash. */
  file?: string | null | undefined;
  tags?: Readonly<Record<string, string>> | null | undefined;
  /** The look at the picture; null: it was not looked at. */
  quality?: Quality | null | undefined;
}

/** A dimension and a value: `["folder", "march/till-2"]`, `["tags.store", "12"]`. */
type Slice = readonly [dimension: string, value: string];

/** Longer values are truncated, because they are shown in tables. */
const maxValue = 100;
const rowSteps = [0, 5, 10, 20, 50];

function rowsBand(rows: number): string {
  const at = rowSteps.findIndex((most) => rows <= most);
  if (at === 0) return "0";
  return at < 0 ? `over ${rowSteps.at(-1)}` : `${(rowSteps[at - 1] ?? 0) + 1}–${rowSteps[at]}`;
}

/** The picture of a run with `LOOK=off`, or of an item that failed before its picture was looked at. */
const notLooked = "not looked at";

/** A picture with several faults is in the slice of each. */
function qualities(quality: Quality | null | undefined): string[] {
  if (quality === undefined) return [];
  if (quality === null) return [notLooked];
  if (quality.ok) return ["ok"];
  return quality.reasons.length === 0 ? ["unknown"] : [...new Set(quality.reasons)];
}

/** The slices of a document. The document's own properties come from its labels. */
export function of(comparison: Comparison, { file, tags, quality }: About): Slice[] {
  const { layout, labels, lists } = comparison;
  const printed = (paths: readonly string[]) => {
    const i = layout.scalars.findIndex(({ path }) => paths.includes(path));
    const label = labels.scalars[i];
    return label?.kind === "value" ? String(label.accepted[0]) : null;
  };
  const folder = file?.includes("/") ? file.slice(0, file.lastIndexOf("/")) : null;
  const found: (readonly [string, string | null | undefined])[] = [
    ["folder", folder],
    ["merchant", printed(["merchant.name", "supplier.name", "company", "merchant"])],
    ["currency", comparison.currency],
    ["language", Script.languageOf(comparison.labels)],
    ...qualities(quality).map((value) => ["quality", value] as const),
    ["rows", lists[0] && rowsBand(lists[0].expected)],
    ...Object.entries(tags ?? {}).map(([name, value]) => [`tags.${name}`, value] as const),
  ];
  return found.flatMap(([dimension, value]): Slice[] =>
    value == null || value.trim() === "" ? [] : [[dimension, value.trim().slice(0, maxValue)]],
  );
}
