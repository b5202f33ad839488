import * as z from "zod";
import * as Listing from "#core/artifact/listing";
import * as Backup from "#core/backup/backup";
import * as BackupLimits from "#core/backup/limits";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Visible from "#core/key/visible";
import * as LookupArtifact from "#core/lookup/artifact";
import * as Queue from "#core/queue/queue";
import * as Record from "#core/reading/record";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import * as Page from "#functions/request/page";
import { as, SignedUrl, stored } from "#functions/stored-reply";
import { sizes } from "#spec/limits";

const KeyId = Names.keyId("Another key's; with the scope `admin:all_keys` only.");
const Kind = z.enum(Listing.kinds);

const ListQuery = z.strictObject({
  kind: Kind.default("extracts").meta({
    description: "What kind of artifact: of extracts, of runs, of evaluations.",
  }),
  limit: Page.limit,
  cursor: z.string().max(2_000).optional().meta({ description: "`next_cursor` of the previous page." }),
  date: Listing.Day.optional().meta({ description: "Only artifacts stored under this UTC day." }),
  key_id: Names.keyId(
    "Only this key's artifacts. Without it: all keys' with the scope `admin:all_keys`, else your own.",
  ),
});

const ArtifactQuery = z.strictObject({
  kind: Kind.default("extracts").meta({
    description: "What kind of artifact: of extracts, of runs, of evaluations.",
  }),
  date: Listing.Day.optional().meta({
    description:
      "The entry's `date`. Required for runs and evaluations; an extract is also found by its id alone.",
  }),
  attempt: Page.whole(0, 999_999_999).optional().meta({ description: "The record of this attempt." }),
  as,
  key_id: KeyId,
});

const BackupQuery = z
  .strictObject({
    from: Listing.Day.optional().meta({ description: "First UTC day." }),
    to: Listing.Day.optional().meta({ description: "Last UTC day." }),
    kind: Kind.optional().meta({ description: "Default: all." }),
    as,
    key_id: Names.keyId(
      "Only this key's artifacts. Without it: all keys' with the scope `admin:all_keys`, else your own.",
    ),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    path: ["to"],
    message: "lies before from",
  });

const Params = z.object({ request_id: Names.requestId });
const StoredArtifact = z.looseObject({ request_id: z.string() }).meta({
  id: "StoredArtifact",
  description: "An artifact as stored in the bucket; its fields depend on its kind and version.",
});
const ArtifactPage = z
  .object({ items: z.array(Listing.ArtifactEntry), next_cursor: z.string().nullable() })
  .meta({ id: "ArtifactPage" });
const Building = z
  .object({
    status: z.literal("running"),
    entries: z.int().meta({ description: "Artifacts packed so far." }),
    poll_url: z.string(),
  })
  .meta({ id: "BackupRunning" });

const listed = ({ log }: Call) => ({ log, action: "read", what: "artifacts" }) as const;

const signed = "303: it is too large to be sent directly; with `as=url` always 200 `{url, expires_at}`";

export const operations = {
  "GET /v1/debug/artifacts": operation({
    summary: "Stored artifacts, newest first",
    description: `Newest day first, and within a day by the time of writing. A page may be short, or empty with a \`next_cursor\`, if many days have none of your artifacts. A day with more than ${Listing.bounds.sliceObjects} artifacts is listed in slices of that many, in the order of their ids, newest first within each slice.`,
    query: ListQuery,
    responses: { 200: { description: "A page", schema: ArtifactPage } },
    run: async ({ query: { key_id, ...query }, call }) => {
      const keyId = Visible.visibleKey(call.principal, key_id, listed(call), { all: true });
      return { status: 200, body: await Listing.page(Bucket.connect(), call.log, { ...query, keyId }) };
    },
  }),
  "GET /v1/debug/artifacts/backup.tar.gz": operation({
    summary: "A backup of the artifacts",
    description:
      "A tar.gz of the artifacts under their keys; its last entry, `manifest.jsonl`, has the size and sha256 of each. A large one is made in the background: repeat the call until it is ready.",
    query: BackupQuery,
    responses: {
      200: {
        description: "The archive, up to 4 MiB",
        schema: z.string().meta({ format: "binary" }),
        contentType: "application/gzip",
        others: { "application/json": SignedUrl },
      },
      202: { description: "It is being made", schema: Building },
      303: { description: `A signed URL. ${signed}` },
    },
    run: async ({ query: { key_id, kind, from, to, as }, call }) => {
      const bucket = Bucket.connect();
      const { log, principal } = call;
      const limits = BackupLimits.limits(Config.app().timeScale);
      const keyId = Visible.visibleKey(principal, key_id, listed(call), { all: true });
      const outcome = await Backup.request(
        { bucket, send: (message) => Queue.send(Queue.connect(), "later", message) },
        { kinds: kind === undefined ? Listing.kinds : [kind], keyId, from, to },
        { keyId: principal.keyId, log, limits: { ...limits, ...(as === "url" ? { answerBytes: 0 } : {}) } },
      );
      if (outcome.kind === "stored")
        return stored(bucket, { rel: outcome.rel, fileName: "backup.tar.gz", as });
      if (outcome.kind === "bytes")
        return { status: 200, body: outcome.bytes, contentType: "application/gzip", headers: attachment };
      const given = Object.entries({ from, to, kind, key_id, as }).filter(
        (pair): pair is [string, string] => pair[1] !== undefined,
      );
      const poll_url = ["/v1/debug/artifacts/backup.tar.gz", new URLSearchParams(given)]
        .join("?")
        .replace(/\?$/, "");
      const headers = { Location: poll_url, "Retry-After": String(outcome.retryAfterS) };
      return { status: 202, body: { status: "running", entries: outcome.entries, poll_url }, headers };
    },
  }),
  "GET /v1/debug/artifacts/{request_id}": operation({
    summary: "An artifact as stored",
    description:
      "The record of an extract, a run or an evaluation, byte for byte as stored in the bucket. Only with `DEBUG_MODE=1`.",
    params: Params,
    query: ArtifactQuery,
    responses: {
      200: { description: "The artifact", schema: z.union([StoredArtifact, SignedUrl]) },
      303: { description: `A signed URL. ${signed}` },
    },
    run: async ({ params, query: { key_id, ...query }, call }) => {
      const bucket = Bucket.connect();
      const wanted = {
        requestId: params.request_id,
        keyId: key_id,
        date: query.date,
        kind: query.kind,
        attempt: query.attempt,
      };
      const rel = await LookupArtifact.locate(Database.connect(), wanted, call.principal, call.log);
      const found = await Bucket.head(bucket, call.log, rel);
      if (found !== undefined && (query.as === "url" || found.bytes > sizes.directAnswerBytes))
        return stored(bucket, { rel, fileName: `${params.request_id}.json`, as: query.as });
      const bytes = await Bucket.get(bucket, call.log, rel);
      if (bytes === undefined) throw new AppError("not_found", "there is no artifact with this id");
      return {
        status: 200,
        body: new TextDecoder().decode(bytes),
        contentType: "application/json; charset=utf-8",
      };
    },
  }),
  "GET /v1/debug/artifacts/{request_id}/raw": operation({
    summary: "The model's raw text",
    description: "From an extract's artifact; 404 if the model was not called. Only with `DEBUG_MODE=1`.",
    params: Params,
    query: ArtifactQuery.omit({ kind: true, as: true }),
    responses: {
      200: { description: "The text", schema: z.string(), contentType: "text/plain; charset=utf-8" },
    },
    run: async ({ params, query: { key_id, date, attempt }, call }) => {
      const wanted = {
        requestId: params.request_id,
        keyId: key_id,
        date,
        kind: "extracts" as const,
        attempt,
      };
      const rel = await LookupArtifact.locate(Database.connect(), wanted, call.principal, call.log);
      const artifact = await Record.get(Bucket.connect(), call.log, rel);
      const raw = artifact?.raw_model_text ?? null;
      if (raw === null) throw new AppError("not_found", "there is no model text for this id");
      return { status: 200, body: raw, contentType: "text/plain; charset=utf-8" };
    },
  }),
};

const attachment = { "Content-Disposition": 'attachment; filename="backup.tar.gz"' };

export const handler = api(operations);
