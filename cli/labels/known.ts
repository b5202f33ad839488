/** Reads ground truths from a server, and fetches their records. */
import { Readable } from "node:stream";
import * as z from "zod";
import * as Run from "#cli/batch/run";
import type { Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Download from "#cli/server/download";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Read from "#core/ground-truth/read";
import * as Id from "#core/id";

export const GroundTruth = z.looseObject({
  gt_id: z.string(),
  key_id: z.string(),
  name: z.string(),
  sha256: z.string(),
  records: z.int(),
  bytes: z.int(),
  gt_image_key: z.string(),
  from_run_id: z.string().nullish(),
  created_at: z.string(),
});
export type GroundTruth = z.output<typeof GroundTruth>;

const WithContent = GroundTruth.extend({ content_url: z.url({ protocol: /^https?$/ }) });

/** Checks an answer against its schema. Throws CallError for a server of another version. */
export function as<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CallError("the answer is not a ground truth: this is a server of another version", {
    scope: "server",
    code: "odd_answer",
  });
}

export const pathOf = (gtId: string, keyId: string | undefined): string =>
  `/v1/ground_truths/${encodeURIComponent(gtId)}${keyId === undefined ? "" : `?${new URLSearchParams({ key_id: keyId })}`}`;

/**
 * The ground truth with an id, or the newest with a name. Throws CallError, and UsageError if the name does not exist.
 */
export async function find(
  context: Pick<Context, "signal">,
  server: Target,
  { which, keyId }: { which: string; keyId?: string | undefined },
): Promise<z.output<typeof WithContent>> {
  let gtId = which;
  if (!Id.groundTruthIdPattern.test(which)) {
    const known = await newest(context, server, { name: which, keyId });
    if (known === undefined)
      throw new UsageError(`there is no ground truth with this name: ${Text.shown(which)}`);
    gtId = known.gt_id;
  }
  return as(WithContent, await Run.ask(server, { path: pathOf(gtId, keyId), signal: context.signal }));
}

/** The newest ground truth with a name; undefined if there is none. Throws CallError. */
export async function newest(
  { signal }: Pick<Context, "signal">,
  server: Target,
  { name, keyId }: { name: string; keyId?: string | undefined },
): Promise<GroundTruth | undefined> {
  const query = { name, key_id: keyId };
  const found = Run.list(server, "/v1/ground_truths", { query, limit: 1, signal, schema: GroundTruth });
  return (await found.next()).value ?? undefined;
}

/**
 * Its records, as they were given.
 * @param imageKey - another member that names the picture. Throws AppError if no record has it.
 */
export async function* recordsOf(
  context: Pick<Context, "signal">,
  known: z.output<typeof WithContent>,
  imageKey?: string,
): AsyncGenerator<Read.Raw> {
  // The signed address is the permission: the API key is not sent.
  const bucket = { url: new URL(known.content_url), apiKey: undefined };
  const stream = await Download.open(context, bucket, known.content_url);
  yield* Read.records(Download.whole(stream), {
    imageKey: imageKey ?? known.gt_image_key,
    mayBeUnnamed: imageKey === undefined,
  });
}

/** Records as a JSON list that people can edit. */
export async function* edited(records: AsyncIterable<Read.Raw>): AsyncGenerator<string> {
  let before = "[\n";
  for await (const { value } of records) {
    yield `${before}${JSON.stringify(value, null, 2)}`;
    before = ",\n";
  }
  yield before === "[\n" ? "[]\n" : "\n]\n";
}

/** Writes texts to a file, or to stdout if no file is named. */
export async function write(
  context: Context,
  texts: AsyncIterable<string>,
  file: string | undefined,
): Promise<void> {
  if (file !== undefined) return Download.writeWhole(context, Readable.from(texts), file);
  for await (const text of texts) context.out(text);
}
