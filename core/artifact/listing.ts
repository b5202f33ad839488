import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { invalidRequest } from "#core/error";
import type { Log } from "#core/log";

/**
 * Artifacts as they lie in the bucket: `<kind>/YYYY-MM-DD/<key_id>/<name>` (docs/architecture.md, "The life of a call").
 * S3 lists names upwards and under a prefix only, so "newest first" walks the days backwards, and whatever is not
 * below the asked key's prefix is never even read.
 */
export const kinds = ["extracts", "batches", "evals"] as const;
export type Kind = (typeof kinds)[number];

/** A UTC day. */
export const Day = z.iso.date();

/** One artifact of a list. */
export const ArtifactEntry = z
  .object({
    request_id: z
      .string()
      .meta({ description: "The id of the extract; of the run or evaluation for the other kinds." }),
    kind: z.enum(kinds),
    key_id: z.string().meta({ description: "Whose it is." }),
    artifact_rel: z.string().meta({ description: "Where it lies, without S3_PREFIX." }),
    date: z.string().meta({ description: "The UTC day it is filed under: its row's creation." }),
    attempt: z.int().nullable().meta({
      description:
        "Null for the artifact at the id's own key; a number for the record of a failure that was to be retried.",
    }),
    bytes: z.int(),
    last_modified: z.iso.datetime(),
  })
  .meta({ id: "ArtifactEntry" });
export type ArtifactEntry = z.output<typeof ArtifactEntry>;

interface Bounds {
  /** Names a list call gives; S3 gives 1,000 at most. */
  listObjects: number;
  /** A day's names are sorted by time in slices of this many, rounded up to whole list calls. */
  sliceObjects: number;
  /** After this many list calls a page ends, full or not. A slice that was begun is still read to its end. */
  listCalls: number;
}

/** 10 calls for a slice; a page costs 120 calls at most, eight at a time, and 1 to 4 on the usual day. */
export const bounds: Bounds = { listObjects: 1_000, sliceObjects: 10_000, listCalls: 100 };

interface Query {
  kind: Kind;
  /** Only this key's artifacts; undefined: those of all keys. The caller checks which keys may be seen. */
  keyId: string | undefined;
  /** Only this day. */
  date?: string | undefined;
  limit: number;
  cursor?: string | undefined;
}

/**
 * Where a list goes on. It is not signed: names are always looked up below the prefix that the caller may see, so
 * a forged one shows nothing more.
 */
const Position = z.strictObject({
  /** What is listed; a cursor of another list is refused. */
  of: z.string(),
  /** The newest day that may hold more. */
  day: Day,
  /** The position within the day: the slice of names after `after` up to `until`, and its last entry that was shown. */
  slice: z
    .strictObject({
      after: z.string(),
      until: z.string().optional(),
      shown: z.tuple([z.int(), z.string()]).optional(),
    })
    .optional(),
});
type Position = z.output<typeof Position>;
type Slice = NonNullable<Position["slice"]>;

const lastDay = "9999-12-31";

/**
 * One page, newest first: days downwards, and within a day by the time of writing, ties by name. Guarantees:
 * - every artifact that was there when the first page was asked for, and is still there, is shown exactly once;
 * - the number of list calls is bounded, however large the bucket: a page may come back short or empty with a
 *   cursor when many days hold nothing of this key (about a quarter of a year passes per page);
 * - a day of more than `sliceObjects` names is shown in slices of that many in the order of the names, newest
 *   first within each.
 * @throws AppError `invalid_request` for a cursor that is not of this list; `storage_unavailable`.
 */
export async function page(
  bucket: Bucket.Bucket,
  log: Log,
  query: Query,
  limits: Bounds = bounds,
): Promise<{ items: ArtifactEntry[]; next_cursor: string | null }> {
  const of = `${query.kind}/${query.keyId ?? "*"}/${query.date ?? "*"}`;
  const walk: Walk = { bucket, log, query, limits, calls: 0, items: [] };
  let at: Position | undefined =
    query.cursor === undefined ? { of, day: query.date ?? lastDay } : decode(query.cursor, of);

  if (at.slice !== undefined) at = rest(walk, at, await takeDay(walk, at.day, at.slice));
  while (at !== undefined && walk.items.length < query.limit && walk.calls < limits.listCalls) {
    at = query.date === undefined ? await takeMonth(walk, at) : rest(walk, at, await takeDay(walk, at.day));
  }
  return { items: walk.items, next_cursor: at === undefined ? null : encode(at) };
}

interface Walk {
  bucket: Bucket.Bucket;
  log: Log;
  query: Query;
  limits: Bounds;
  calls: number;
  items: ArtifactEntry[];
}

function listed(walk: Walk, query: Parameters<typeof Bucket.list>[2]): ReturnType<typeof Bucket.list> {
  walk.calls += 1;
  return Bucket.list(walk.bucket, walk.log, {
    ...query,
    ...(query.delimiter === undefined ? { max: walk.limits.listObjects } : {}),
  });
}

/** Where to go on after a day: in it, below it, or nowhere. */
function rest(walk: Walk, at: Position, slice: Slice | undefined): Position | undefined {
  if (slice !== undefined) return { of: at.of, day: at.day, slice };
  return walk.query.date === undefined ? { of: at.of, day: dayBefore(at.day) } : undefined;
}

/** Days that are looked into at once: one where artifacts are dense, more and more where a key has long been idle. */
const maxWidth = 8;

/** Takes from the newest days of one month, downwards, until the page is full, the calls are spent or the month is over. */
async function takeMonth(walk: Walk, at: Position): Promise<Position | undefined> {
  const days = await newestDays(walk, at.day);
  if (days.length === 0) return undefined;
  let next: Position | undefined = at;
  for (let i = 0, width = 1; i < days.length; width = Math.min(2 * width, maxWidth)) {
    const group = days.slice(i, i + width);
    const pages = await Promise.all(group.map((day) => listed(walk, { prefix: prefixOf(walk.query, day) })));
    for (const [j, day] of group.entries()) {
      next = rest(walk, { of: at.of, day }, await takeDay(walk, day, undefined, pages[j]));
      if (next?.slice !== undefined || walk.items.length >= walk.query.limit) return next;
    }
    if (walk.calls >= walk.limits.listCalls) return next;
    i += group.length;
  }
  return next;
}

/**
 * Takes entries of a day until the page is full or the calls are spent.
 * @returns where the day goes on; undefined when it is over.
 */
async function takeDay(
  walk: Walk,
  day: string,
  begin: Slice = { after: "" },
  first?: Awaited<ReturnType<typeof Bucket.list>>,
): Promise<Slice | undefined> {
  let slice: Slice | undefined = begin;
  while (slice !== undefined) {
    const read = await readSlice(walk, day, slice, slice === begin ? first : undefined);
    const { shown } = slice;
    const open = read.entries.filter((entry) => shown === undefined || order(timed(entry), shown) > 0);
    const taken = open.slice(0, walk.query.limit - walk.items.length);
    walk.items.push(...taken);
    const last = taken.at(-1);
    if (taken.length < open.length) {
      return {
        after: slice.after,
        ...until(read.until),
        ...(last === undefined ? { shown } : { shown: timed(last) }),
      };
    }
    slice = read.until === undefined ? undefined : { after: read.until };
    if (walk.items.length >= walk.query.limit || walk.calls >= walk.limits.listCalls) return slice;
  }
  return undefined;
}

const until = (name: string | undefined) => (name === undefined ? {} : { until: name });
const timed = (entry: ArtifactEntry): [number, string] => [
  Date.parse(entry.last_modified),
  entry.artifact_rel,
];
/** Newest first, then by name. */
const order = (a: [number, string], b: [number, string]) =>
  b[0] - a[0] || (a[1] < b[1] ? -1 : Number(a[1] > b[1]));

/** The entries of one slice, sorted, and the slice's end if the day has more. */
async function readSlice(
  walk: Walk,
  day: string,
  slice: Slice,
  first: Awaited<ReturnType<typeof Bucket.list>> | undefined,
): Promise<{ entries: ArtifactEntry[]; until: string | undefined }> {
  const prefix = prefixOf(walk.query, day);
  const entries: ArtifactEntry[] = [];
  let after = slice.after;
  let count = 0;
  for (let page = first; ; page = undefined) {
    page ??= await listed(walk, { prefix, startAfter: after === "" ? undefined : `${prefix}${after}` });
    for (const object of page.objects) {
      const name = object.rel.slice(prefix.length);
      if (slice.until !== undefined && name > slice.until) return sorted(entries, slice.until);
      after = name;
      count += 1;
      const entry = entryOf(object);
      if (entry !== undefined) entries.push(entry);
    }
    if (page.next === undefined) return sorted(entries, undefined);
    // A slice keeps its end, so that names written in the meantime push no entry out of it.
    if (slice.until === undefined && count >= walk.limits.sliceObjects) return sorted(entries, after);
  }
}

function sorted(
  entries: ArtifactEntry[],
  end: string | undefined,
): { entries: ArtifactEntry[]; until: string | undefined } {
  return { entries: entries.sort((a, b) => order(timed(a), timed(b))), until: end };
}

function prefixOf(query: Pick<Query, "kind" | "keyId">, day: string): string {
  return query.keyId === undefined ? `${query.kind}/${day}/` : `${query.kind}/${day}/${query.keyId}/`;
}

/**
 * The days of the newest month with any day up to this one, newest first; empty if there is none. Months and years
 * are found by listing up to the dashes of the date, in at most 5 calls.
 */
async function newestDays(walk: Walk, notAfter: string): Promise<string[]> {
  const root = `${walk.query.kind}/`;
  const parts = async (known: string, delimiter: "-" | "/", shape: RegExp) => {
    const { prefixes } = await listed(walk, { prefix: root + known, delimiter });
    return prefixes
      .map((prefix) => prefix.slice(root.length, -1))
      .filter((part) => shape.test(part))
      .reverse();
  };
  const days = async (month: string) =>
    (await parts(`${month}-`, "/", /^\d{4}-\d\d-\d\d$/)).filter((day) => day <= notAfter);
  const months = async (year: string, before: string) => {
    for (const month of await parts(`${year}-`, "-", /^\d{4}-\d\d$/)) {
      if (month >= before) continue;
      const found = await days(month);
      if (found.length > 0) return found;
    }
    return [];
  };
  const [month, year] = [notAfter.slice(0, 7), notAfter.slice(0, 4)];
  if (notAfter !== lastDay) {
    const found = await days(month);
    if (found.length > 0) return found;
    const earlier = await months(year, month);
    if (earlier.length > 0) return earlier;
  }
  for (const earlier of await parts("", "-", /^\d{4}$/)) {
    if (earlier >= year && notAfter !== lastDay) continue;
    const found = await months(earlier, "9999-99");
    if (found.length > 0) return found;
  }
  return [];
}

function dayBefore(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) - 24 * 3_600_000).toISOString().slice(0, 10);
}

const shape =
  /^(?<kind>extracts|batches|evals)\/(?<date>\d{4}-\d\d-\d\d)\/(?<keyId>[^/]+)\/(?<id>[^/]+?)(?:~attempt-(?<attempt>\d{1,9}))?\.json$/;

/** The entry of an object; undefined for an object that is not an artifact, such as the results of a run. */
function entryOf(object: Bucket.Listed): ArtifactEntry | undefined {
  const found = shape.exec(object.rel)?.groups;
  if (found === undefined) return undefined;
  // The items of a run have ids with a `~`; runs and evaluations have none: it is a file beside one.
  if (found.kind !== "extracts" && object.rel.includes("~")) return undefined;
  return {
    request_id: found.id ?? "",
    kind: found.kind as Kind,
    key_id: found.keyId ?? "",
    artifact_rel: object.rel,
    date: found.date ?? "",
    attempt: found.attempt === undefined ? null : Number(found.attempt),
    bytes: object.bytes,
    last_modified: object.modified.toISOString(),
  };
}

function encode(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

function decode(cursor: string, of: string): Position {
  const wrong = () =>
    invalidRequest([
      {
        path: "cursor",
        message:
          "is not a cursor of this list: take next_cursor of the page before as it is, or leave it out",
      },
    ]);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    throw wrong();
  }
  const parsed = Position.safeParse(value);
  if (!parsed.success || parsed.data.of !== of) throw wrong();
  return parsed.data;
}

/** What a walk covers. Days are inclusive. */
export interface Range {
  kinds: readonly Kind[];
  /** Only this key's; undefined: everybody's. */
  keyId: string | undefined;
  from: string | undefined;
  to: string | undefined;
}

/**
 * Every object of a range in the order of names, one list call at a time, each with the place where a later walk
 * continues. A step may contain no objects. Memory does not grow with the bucket.
 * @param after - a place from an earlier walk of the same range.
 * @throws AppError `storage_unavailable`.
 */
export async function* walk(
  bucket: Bucket.Bucket,
  log: Log,
  range: Range,
  after = "",
): AsyncGenerator<{ objects: Bucket.Listed[]; place: string }> {
  for (const kind of range.kinds.toSorted()) {
    if (`${kind}0` <= after) continue;
    const from = `${kind}/${range.from ?? ""}`;
    const begin = after > from ? after : from;
    if (range.keyId === undefined) {
      const end = `${kind}/${range.to ?? lastDay}0`;
      // The place behind every object of the kind: a walk from there does not list the kind again.
      yield* walkPrefix(bucket, log, { prefix: `${kind}/`, after: begin, end, behind: `${kind}0` });
      continue;
    }
    for await (const day of daysFrom(bucket, log, kind, begin.slice(kind.length + 1, kind.length + 11))) {
      if (range.to !== undefined && day > range.to) break;
      const prefix = `${kind}/${day}/${range.keyId}/`;
      // "0" follows "/": behind everything below the prefix.
      const end = `${prefix.slice(0, -1)}0`;
      if (end > begin) yield* walkPrefix(bucket, log, { prefix, after: begin, end, behind: end });
    }
  }
}

/** Lists the objects below a prefix, after `after` and before `end`. The last page's place is `behind`. */
async function* walkPrefix(
  bucket: Bucket.Bucket,
  log: Log,
  { prefix, after, end, behind }: { prefix: string; after: string; end: string; behind: string },
): AsyncGenerator<{ objects: Bucket.Listed[]; place: string }> {
  for (let startAfter: string | undefined = after; startAfter !== undefined; ) {
    const page: Awaited<ReturnType<typeof Bucket.list>> = await Bucket.list(bucket, log, {
      prefix,
      startAfter,
    });
    const objects = page.objects.filter(({ rel }) => rel < end);
    const over = page.next === undefined || objects.length < page.objects.length;
    startAfter = over ? undefined : objects.at(-1)?.rel;
    yield { objects, place: startAfter ?? behind };
  }
}

/** The days of a kind from this one on, upwards; 1,000 a call. */
async function* daysFrom(bucket: Bucket.Bucket, log: Log, kind: Kind, from: string): AsyncGenerator<string> {
  let token: string | undefined;
  // Below the first day and above every earlier one, also where only its beginning is given.
  const startAfter = `${kind}/${from}`;
  do {
    const page = await Bucket.list(bucket, log, { prefix: `${kind}/`, delimiter: "/", startAfter, token });
    for (const prefix of page.prefixes) {
      const day = prefix.slice(kind.length + 1, -1);
      if (/^\d{4}-\d\d-\d\d$/.test(day)) yield day;
    }
    token = page.next;
  } while (token !== undefined);
}
