import * as RulesVersion from "#core/canonical/rules-version";
import * as Continued from "#core/reading/long-list/continued";
import type { Artifact, CallRecord, StoredPart } from "#core/reading/schema";
import * as Override from "#core/task/override";
import type * as OwnSchema from "#core/task/own-schema";
import * as Task from "#core/task/task";
import { extractJson, extractLast } from "#core/vision/answer/json";
import { salvage } from "#core/vision/answer/salvage";
import { type Difference, differences } from "./difference.ts";

/** The parts of an artifact that follow from the model's text alone. */
const parts = ["result", "complete", "rows", "schema_ok", "schema_errors", "normalized", "checks"] as const;
type Parts = Partial<Pick<Artifact, (typeof parts)[number]>>;

type Reason =
  /** The artifact keeps no text of a model: the model was not asked, or gave no answer. */
  | "no_raw_text"
  /** This version has no such task. */
  | "unknown_task"
  /** The caller's own schema is refused by this version. */
  | "schema_refused";

export interface Replayed {
  request_id: string;
  task_id: string;
  outcome: "same" | "differs" | "not_replayable";
  /** Why it is not replayable; null otherwise. */
  reason: Reason | null;
  /** The first 100 places that differ, in the order of the artifact. */
  differences: Difference[];
  /** Differences beyond these. */
  more: number;
  /** The version of the code that wrote the artifact, and this one. */
  code_version: { stored: string | null; now: string };
  /** The rules of values and checks, likewise. If they differ, computed values may differ. */
  rules_version: { stored: string | null; now: string };
  /** True if the task has another prompt now, so that the model would be asked something else. */
  prompt_changed: boolean;
  /** True if answers of the task, or of the caller's schema, are checked against another schema now. */
  schema_changed: boolean;
}

const most = 100;

/**
 * Computes an artifact's result, schema errors, canonical values and checks again from `raw_model_text`, without a
 * model or the network, and compares them byte for byte with the stored ones. A difference means that the code or its
 * rules have changed, or that the artifact was altered.
 *
 * The current time has no influence: two-digit years are read by the artifact's own `created_at`.
 * @param version - of this code, as in `code_version` of a new artifact.
 */
export async function replay(artifact: Artifact, version: string): Promise<Replayed> {
  const task = Task.get(artifact.task_id);
  const replayed: Replayed = {
    request_id: artifact.request_id,
    task_id: artifact.task_id,
    outcome: "not_replayable",
    reason: null,
    differences: [],
    more: 0,
    code_version: { stored: artifact.code_version ?? null, now: version },
    rules_version: { stored: artifact.rules_version ?? null, now: RulesVersion.version },
    prompt_changed: false,
    schema_changed: false,
  };
  if (task === undefined) return { ...replayed, reason: "unknown_task" };
  const text = artifact.raw_model_text;
  if (typeof text !== "string") return { ...replayed, reason: "no_raw_text" };
  let asked: OwnSchema.Overridden;
  try {
    asked = await Override.override(task, artifact.request?.debug);
  } catch {
    return { ...replayed, reason: "schema_refused" };
  }
  const found =
    artifact.documents === undefined
      ? await differencesOf(artifact, text, asked)
      : await differencesOfAll(artifact, artifact.documents, asked);
  return {
    ...replayed,
    outcome: found.length === 0 ? "same" : "differs",
    differences: found.slice(0, most),
    more: Math.max(0, found.length - most),
    prompt_changed: artifact.prompt_sha256 !== asked.task.promptSha256,
    schema_changed: artifact.schema_sha256 !== asked.task.schemaSha256,
  };
}

/** Includes the row accounting, from what was seen of the paper at that time. Older artifacts do not have it. */
async function accountedOf(
  { rows, error }: Artifact,
  { unclear, ...computed }: Parts & { unclear?: boolean },
  task: Task.Task,
): Promise<Parts> {
  const { result, normalized = {} } = computed;
  if (rows === undefined || !result) return computed;
  const Examine = await import("#core/reading/examine");
  const { printed, seen } = rows;
  const evidence = { printed, seen, unclear, cut: error?.code === "answer_too_long" };
  return { ...computed, ...Examine.accounted({ task }, result, { normalized }, evidence) };
}

async function differencesOf(
  artifact: Artifact,
  text: string,
  asked: OwnSchema.Overridden,
): Promise<Difference[]> {
  const computed = await accountedOf(artifact, await computedOf(artifact, text, asked), asked.task);
  const now = JSON.parse(JSON.stringify(computed)) as Parts;
  // Only the parts that the artifact has, because an old one may lack some.
  return parts.flatMap((part) =>
    artifact[part] === undefined && part !== "complete" ? [] : differences(artifact[part], now[part], part),
  );
}

/** For a file of several documents: each is computed again from its own texts, like an artifact of its own. */
async function differencesOfAll(
  artifact: Artifact,
  documents: readonly StoredPart[],
  asked: OwnSchema.Overridden,
): Promise<Difference[]> {
  const { documents: _, error: __, embedded: ___, ...whole } = artifact;
  const found: Difference[] = [];
  for (const [at, { pages: ____, box: _____, ...document }] of documents.entries()) {
    // A document without a text has nothing to compute: it failed before the model answered.
    if (document.raw_model_text === null) continue;
    const own: Artifact = { ...whole, ...document };
    for (const difference of await differencesOf(own, document.raw_model_text, asked))
      found.push({ ...difference, path: `documents.${at}.${difference.path}` });
  }
  return found;
}

async function computedOf(
  artifact: Artifact,
  text: string,
  { task, validate }: OwnSchema.Overridden,
): Promise<Parts & { unclear?: boolean }> {
  const Examine = await import("#core/reading/examine");
  const { embedded } = artifact;
  const about = { task, validate, embedded, createdAt: new Date(artifact.created_at) };
  const none = { result: null, schema_ok: null, schema_errors: [], normalized: {}, checks: [] };
  if (artifact.calls !== undefined) return ofCalls(artifact, artifact.calls, about, Examine);
  if (artifact.error?.code === "answer_too_long") {
    const salvaged = salvage(text);
    return salvaged === undefined
      ? { ...none, complete: false }
      : { ...none, result: salvaged.value, complete: false, ...Examine.partial(about, salvaged) };
  }
  const value = objectIn(artifact, text);
  return value === undefined ? none : { result: value, ...Examine.whole(about, value) };
}

type Answered = import("#core/reading/examine").Answered;
type About = Parameters<typeof import("#core/reading/examine").whole>[0];

/** For several calls (several pages, or a long list), their answers, joined as they were then. */
function ofCalls(
  artifact: Artifact,
  calls: readonly CallRecord[],
  about: About,
  Examine: typeof import("#core/reading/examine"),
): Parts & { unclear?: boolean } {
  const none = { result: null, schema_ok: null, schema_errors: [], normalized: {}, checks: [] };
  const answers = Continued.grouped(calls);
  // A document of one page is its answer, whose rows are all rows.
  const joined = (values: Answered[]) =>
    artifact.sent_pages === undefined
      ? { value: values[0]?.value ?? {}, unclear: false }
      : Examine.joined(about, values);
  if (artifact.error?.code === "answer_too_long") {
    const salvaged = Continued.salvagedIn(answers.at(-1) ?? []);
    if (salvaged === undefined) return { ...none, complete: false };
    const last = aboutOf(answers.at(-1) ?? []);
    const others = objectsIn(answers.slice(0, -1), [extractJson, extractLast]);
    const { value } = joined([...others, { ...last, value: salvaged.value }]);
    return { ...none, result: value, complete: false, ...Examine.partial(about, { ...salvaged, value }) };
  }
  if (artifact.status === "failed") return none;
  // As for a single text: of the two possible objects, the stored one counts.
  const readings = [
    [extractJson, extractLast],
    [extractLast, extractJson],
  ].map((readers) => joined(objectsIn(answers, readers)));
  const stored = JSON.stringify(artifact.result);
  const found = readings.find(({ value }) => JSON.stringify(value) === stored) ?? readings[0];
  const { value, unclear } = found ?? { value: {}, unclear: false };
  return { result: value, ...Examine.whole(about, value), unclear };
}

/** Each answer's object by the first reader that finds one. */
const objectsIn = (answers: readonly Continued.Text[][], readers: readonly (typeof extractJson)[]) =>
  answers.flatMap((texts) => {
    for (const reader of readers) {
      const value = Continued.wholeIn(texts, reader);
      if (value !== undefined) return [{ ...aboutOf(texts), value }];
    }
    return [];
  });

/** The page, or the part of one, that a call is about. */
const aboutOf = ([text]: readonly Continued.Text[]) => ({
  page: text?.call.pages[0] ?? 1,
  tile: text?.call.tile,
});

/**
 * The object in the model's text. An artifact does not say whether its text came as the answer or as reasoning,
 * where an object at the end is the answer (core/vision/reasoning.ts). Of the two possible objects, the stored one
 * counts if the text has it.
 */
function objectIn({ status, result, error }: Artifact, text: string): Record<string, unknown> | undefined {
  // An attempt that was cut off by time or by the server has no answer, whatever its text contains.
  if (status === "failed" && error?.code !== "invalid_model_output") return undefined;
  const readings = [extractJson(text), extractLast(text)].flatMap((read) => (read.ok ? [read.value] : []));
  const stored = JSON.stringify(result);
  return readings.find((value) => JSON.stringify(value) === stored) ?? readings[0];
}
