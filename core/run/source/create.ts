import * as Bucket from "#core/bucket/bucket";
import * as Version from "#core/bucket/version";
import { AppError, invalidRequest } from "#core/error";
import * as Issue from "#core/issue";
import { reachesAll } from "#core/key/visible";
import type { Log } from "#core/log";
import * as EvaluateBy from "#core/run/evaluate-by";
import type { Planning } from "#core/run/planning";
import { BatchRequest, type ExtractError } from "#core/run/schema";
import type { RunStores } from "#core/run/services";
import type { Skipped } from "#core/run/skipped";
import * as Width from "#core/run/slots/width";
import * as Upload from "#core/upload/upload";
import * as Allowance from "#core/usage/allowance";
import * as Webhook from "#core/webhook/webhook";
import { batches } from "#spec/limits";
import * as Begin from "./begin.ts";
import type * as Folder from "./folder.ts";
import * as Hosts from "./hosts.ts";
import * as Items from "./items.ts";
import * as Labels from "./labels.ts";
import * as Line from "./line.ts";
import type * as Receive from "./receive.ts";
import * as Resolve from "./resolve.ts";

export type { Caller, Created } from "./begin.ts";
export type { ReceiveInput } from "./receive.ts";
/** Loaded only for calls that send a form, which are few. */
export const receive: typeof Receive.receive = async (...given) =>
  (await import("./receive.ts")).receive(...given);

/** A manifest up to this size, with few enough lines, is checked within the call. */
const readAtOnceBytes = 1024 * 1024;

/**
 * A request whose inline lines were not checked yet: their mistakes are reported together with those of the pictures.
 */
export type BatchInput = Omit<BatchRequest, "manifest" | "dry_run"> & {
  manifest?: readonly unknown[] | undefined;
  /** Not used here: for a dry run, the caller calls `dryRun` instead of `create`. */
  dry_run?: boolean | undefined;
};

/**
 * Checks everything of a request except the lines of its manifest, which `create` checks.
 * @throws AppError `invalid_request`.
 */
export function parse(body: unknown): BatchInput {
  const lines = linesOf(body);
  // A valid line replaces each, so that only their number is checked here.
  const request =
    lines === undefined
      ? body
      : { ...(body as object), manifest: lines.map(() => ({ image_key: "shared/any" })) };
  const { data, issues } = Issue.check(BatchRequest, request);
  if (issues !== undefined) throw invalidRequest(issues);
  return lines === undefined ? data : { ...data, manifest: lines };
}

function linesOf(body: unknown): readonly unknown[] | undefined {
  if (typeof body !== "object" || body === null || !("manifest" in body)) return undefined;
  return Array.isArray(body.manifest) ? body.manifest : undefined;
}

/**
 * Makes a run of a manifest or a folder. A small source is checked here: every line, and that its picture exists. All
 * mistakes are reported in one error, and no run is left behind. A large source is checked by the planner (check.ts),
 * and the run is `planning` until then. The same id and payload return the same run, even if its inputs were removed
 * since.
 * @param input - inline lines as they came (`parse`), or checked ones.
 * @throws AppError `invalid_request` with `details.issues[] {line, path, message}` (the first 100) and `issue_count`;
 *   `conflict`, `rate_limited`, `storage_unavailable`.
 */
export async function create(
  services: RunStores,
  log: Log,
  input: BatchInput,
  caller: Begin.Caller,
): Promise<Begin.Created> {
  await Begin.checkTask(input.task_id);
  const identity = await Begin.identify(services, { runId: input.run_id, payload: payloadOf(input) }, caller);
  if (identity.known !== undefined) return { run: identity.known, replayed: true };
  if (input.webhook_url !== undefined) await Webhook.check(input.webhook_url, log, caller.deadline);
  const evaluateBy = await Labels.check(services, log, input, caller.principal);
  const what = {
    evaluateBy,
    taskId: input.task_id,
    ...Width.asked(services, input.concurrency, caller.principal),
    source: sourceOf(input),
    persistInputs: input.persist_inputs,
    look: input.look ?? null,
    maxPages: input.max_pages ?? null,
    split: input.split ?? null,
    sourceRunId: null,
    webhookUrl: input.webhook_url ?? null,
    expiresAfterS: input.expires_after ?? null,
  };
  const source = await read(services, log, input, caller);
  const { skipped = null } = source;
  if ("planning" in source) {
    const row = Begin.draft(identity, caller, { ...what, skipped }, source);
    return orderPlanner(
      services,
      log,
      await commitPlanned(services, log, { row, identity, caller }, source.planning),
    );
  }
  const { pictures } = source;
  const row = Begin.draft(identity, caller, { ...what, skipped }, { total: pictures.length });
  const made = await Begin.commit(
    services,
    { row, identity, caller },
    {
      onlyIf: Resolve.uploadsAreThere(pictures),
      items: Items.insert(row.runUid, 0, pictures, Begin.exists(row.runUid)),
    },
  );
  if (made !== undefined) return orderPlanner(services, log, made);
  // Either an upload was removed with a run that ended in the meantime, which a second look-up shows, or the key has
  // no room.
  await read(services, log, input, caller);
  throw await Allowance.refusal(services.db, caller.principal, row.total, row.createdAt);
}

async function orderPlanner(services: RunStores, log: Log, made: Begin.Created): Promise<Begin.Created> {
  if (!made.replayed) await Begin.order(services, made.run, log);
  return made;
}

/** Inserts a run that is checked later. Our list of a folder is removed if it is not needed. */
async function commitPlanned(
  services: RunStores,
  log: Log,
  draft: Begin.Draft,
  planning: Planning,
): Promise<Begin.Created> {
  const { row, caller } = draft;
  const made = await Begin.commit(services, draft);
  if (made?.replayed !== false && planning.phase === "manifest" && planning.temporary)
    await Bucket.remove(services.bucket, log, planning.objectKey);
  if (made === undefined) throw await Allowance.refusal(services.db, caller.principal, 1, row.createdAt);
  return made;
}

const sourceOf = (input: BatchInput): "manifest" | "manifest_ref" | "images_dir" =>
  input.manifest !== undefined
    ? "manifest"
    : input.manifest_ref !== undefined
      ? "manifest_ref"
      : "images_dir";

/**
 * What determines the run. A URL counts without its signature, because a repeat may have signed it again. Malformed
 * lines count as they are; the call fails anyway.
 */
export function payloadOf(input: BatchInput): unknown {
  const { task_id, concurrency, persist_inputs, webhook_url, limit, manifest } = input;
  const lines = manifest?.map((value, i) => {
    const { entry } = Line.check(value, i + 1);
    if (entry === undefined) return value;
    const { custom_id, file, tags, pages, split, image_ref, image_key, image_url } = entry.value;
    const url = image_url === undefined ? null : Hosts.unsigned(image_url);
    const line = [custom_id ?? null, file ?? null, image_ref ?? null, image_key ?? null, url];
    // Left out for lines without them, so that ids from before there were tags and pages keep their payload hash.
    const tagged = tags === undefined ? line : [...line, Object.entries(tags).sort()];
    const paged = pages === undefined ? tagged : [...tagged, { pages }];
    return split === undefined ? paged : [...paged, { split }];
  });
  const folder = [input.images_dir ?? null, input.glob ?? null, input.exts ?? null];
  return [
    sourceOf(input),
    task_id,
    concurrency,
    persist_inputs,
    webhook_url ?? null,
    limit ?? null,
    lines ?? null,
    input.manifest_ref ?? null,
    folder,
    // Calls without labels keep the hash from before labels existed.
    ...(input.expires_after === undefined ? [] : [input.expires_after]),
    ...(input.look === undefined ? [] : [{ look: input.look }]),
    ...(input.max_pages === undefined ? [] : [{ max_pages: input.max_pages }]),
    ...(input.split === undefined ? [] : [{ split: input.split }]),
    ...EvaluateBy.payloadOf(input),
  ];
}

type Source = ({ pictures: Resolve.Picture[] } | { planning: Planning }) & {
  /** For a folder. */
  skipped?: Skipped;
};

/** Checks a source as far as a call has time for it. @throws AppError as `create`. */
export async function read(
  services: RunStores,
  log: Log,
  input: BatchInput,
  caller: Begin.Caller,
): Promise<Source> {
  const { principal, deadline } = caller;
  const looking = { viewer: { keyId: principal.keyId, allKeys: reachesAll(principal) }, deadline };
  if (input.manifest !== undefined) {
    const lines = input.manifest.slice(0, input.limit);
    return check(
      services,
      log,
      lines.map((value, i) => Line.check(value, i + 1)),
      looking,
    );
  }
  if (input.manifest_ref !== undefined)
    return readManifest(services, log, { ref: input.manifest_ref, limit: input.limit }, looking);
  const folder = { ...input, images_dir: input.images_dir ?? "" };
  // Name patterns apply only to folders.
  const { list } = await import("./folder.ts");
  const { found, skipped } = await list(services, log, folder, looking);
  if (found.length <= batches.inlineManifestLines) return { pictures: found.map(pictureOf), skipped };
  return { planning: await writeList(services, log, found, principal.keyId), skipped };
}

/** Looks up the pictures of parsed lines. */
async function check(
  services: RunStores,
  log: Log,
  lines: readonly Line.Parsed[],
  looking: Resolve.Looking,
): Promise<Source> {
  const entries = lines.flatMap(({ entry }) => entry ?? []);
  const issues: ExtractError[] = lines.flatMap((line) => line.issues ?? []);
  const resolved = await Resolve.resolve(services, log, entries, looking);
  issues.push(...resolved.issues, ...Resolve.repeated(entries));
  if (issues.length > 0) throw Resolve.refused(issues);
  return { pictures: resolved.pictures };
}

/** A manifest in the bucket: read here if it is small, otherwise by the planner. */
async function readManifest(
  services: RunStores,
  log: Log,
  manifest: { ref: string; limit: number | undefined },
  looking: Resolve.Looking,
): Promise<Source> {
  const wrong = (message: string, reason?: string) =>
    invalidRequest([{ path: "manifest_ref", message }], reason === undefined ? {} : { details: { reason } });
  const uploads = await Upload.announced(services.db, looking.viewer.keyId, [manifest.ref]);
  const upload = uploads.get(manifest.ref);
  if (upload === undefined) throw wrong("there is no upload with this manifest_ref");
  if (upload.kind !== "manifest") throw wrong("this upload is not a manifest");
  const { objectKey } = upload;
  const seen = await Bucket.head(services.bucket, log, objectKey);
  if (seen === undefined && upload.etag === null)
    throw wrong(
      "nothing has been uploaded there yet: PUT the bytes to its upload_url first",
      "upload_missing",
    );
  const etag = upload.etag ?? (await pin(services, upload.ref, seen?.etag ?? ""));
  if (seen === undefined || etag !== seen.etag) throw Resolve.replaced();
  const planning: Planning = {
    phase: "manifest",
    objectKey,
    etag,
    offset: 0,
    line: 0,
    rows: 0,
    limit: manifest.limit ?? null,
    issues: [],
    issueCount: 0,
    temporary: false,
  };
  if (seen.bytes > readAtOnceBytes) return { planning };
  const source = await Version.from(services.bucket, log, { rel: objectKey, etag, offset: 0 });
  if (source === undefined) throw Resolve.replaced();
  const lines: Line.Parsed[] = [];
  for await (const raw of Line.split(source, { offset: 0, line: 0 })) {
    if (raw.kind === "blank") continue;
    if (lines.length === manifest.limit) break;
    if (lines.length === batches.inlineManifestLines) return { planning };
    lines.push(Line.parse(raw));
  }
  if (lines.length === 0) throw Resolve.refused([Resolve.empty]);
  return check(services, log, lines, looking);
}

async function pin(services: RunStores, ref: string, etag: string): Promise<string | undefined> {
  return (await Upload.pin(services.db, [{ ref, etag }])).get(ref);
}

const pictureOf = ({ file, imageKey, etag }: Folder.Found): Resolve.Picture => ({
  customId: null,
  file,
  tags: null,
  pages: null,
  split: null,
  sourceKind: "data",
  objectKey: `data/${imageKey}`,
  etag,
  url: null,
  declaredMimeType: null,
  kept: false,
  line: 0,
});

/** Stores the list of a large folder as our own manifest, which the planner reads like any other. */
async function writeList(
  services: RunStores,
  log: Log,
  found: readonly Folder.Found[],
  keyId: string,
): Promise<Planning> {
  const body = found
    .map(({ file, imageKey, etag }) => `${JSON.stringify({ file, image_key: imageKey, etag })}\n`)
    .join("");
  const objectKey = `inputs/manifests/${keyId}/${Begin.newName()}.jsonl`;
  const contentType = "application/x-ndjson";
  const etag = await Bucket.replace(services.bucket, log, objectKey, { body, contentType });
  if (etag === undefined) throw new AppError("storage_unavailable", "the bucket did not take the list");
  return {
    phase: "manifest",
    objectKey,
    etag,
    offset: 0,
    line: 0,
    rows: 0,
    limit: null,
    issues: [],
    issueCount: 0,
    temporary: true,
  };
}
