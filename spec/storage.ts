import { type Jurisdiction, jurisdiction as jurisdictionOf } from "./jurisdiction.ts";
import { rules } from "./lifecycle.ts";

/** Where a deployed stage stores its objects, derived from the deploying environment. */

type Environment = Readonly<Record<string, string | undefined>>;

/** A bucket on R2 that the deployment makes, or an existing bucket on any other S3. */
type Storage =
  | { readonly kind: "r2"; readonly jurisdiction: Jurisdiction }
  | { readonly kind: "own"; readonly endpoint: string; readonly bucket: string; readonly region: string };

/**
 * `S3_ENDPOINT_URL` of the deploying environment names another S3; without it the bucket is made on R2.
 * @throws Error if only one of `S3_ENDPOINT_URL` and `S3_BUCKET` is set.
 */
export function storage(env: Environment): Storage {
  const endpoint = env.S3_ENDPOINT_URL || undefined;
  const bucket = env.S3_BUCKET || undefined;
  if (endpoint === undefined) {
    if (bucket !== undefined)
      throw new Error(
        "S3_BUCKET is set without S3_ENDPOINT_URL: the deployment names the bucket that it makes",
      );
    return { kind: "r2", jurisdiction: jurisdictionOf(env) };
  }
  if (bucket === undefined) throw new Error("S3_ENDPOINT_URL is set: S3_BUCKET has to name the bucket there");
  return { kind: "own", endpoint, bucket, region: env.S3_REGION || "auto" };
}

/**
 * What happens to the R2 bucket that an earlier deployment of the stage made. If `R2_BUCKET_LEFT` is its name, the
 * bucket stays as it is. If it is `emptied`, the bucket is removed; Cloudflare refuses to remove one that still holds
 * objects.
 * @param made - whether the stage has such a bucket.
 * @throws Error if the setting is missing: the bucket has the only copy of its artifacts, and no function would read
 *   them any more.
 */
export function leftBucket(env: Environment, made: boolean): { kept: string } | "removed" | "none" {
  const left = env.R2_BUCKET_LEFT || undefined;
  if (!made || storage(env).kind === "r2") return "none";
  if (left === undefined)
    throw new Error(
      'this stage has a bucket on R2, and S3_ENDPOINT_URL names another: copy its objects, then set R2_BUCKET_LEFT to its name to keep it, or empty it and set R2_BUCKET_LEFT=emptied (docs/deploy.md, "Another S3")',
    );
  return left === "emptied" ? "removed" : { kept: left };
}

/** @throws Error if the bucket to keep has another name: `R2_BUCKET_LEFT` was written for another stage. */
export function assertKept(kept: string | undefined, name: string): void {
  if (kept !== undefined && kept !== name)
    throw new Error(`R2_BUCKET_LEFT is not the name of this stage's bucket, which is ${name}`);
}

/** The bucket's CORS rules: browsers may put files by signed URLs, from the origins that may call the API. */
export function cors(env: Environment) {
  const origins = (env.CORS_ALLOW_ORIGINS ?? "")
    .split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  return {
    methods: ["PUT", "GET"],
    origins,
    headers: ["content-type", "if-none-match", "x-amz-checksum-sha256"],
    exposeHeaders: ["ETag"],
    maxAgeSeconds: 600,
  };
}

/**
 * The commands that give a bucket on another S3 the rules that a deployment sets on its own bucket: expiry and CORS.
 */
export function toSet(env: Environment, { endpoint, bucket }: Extract<Storage, { kind: "own" }>): string {
  const { methods, origins, headers, exposeHeaders, maxAgeSeconds } = cors(env);
  const lifecycle = {
    Rules: rules(env).map(({ id, prefix, what, afterSeconds }) => ({
      ID: id,
      Status: "Enabled",
      Filter: { Prefix: prefix },
      ...(what === "objects"
        ? { Expiration: { Days: afterSeconds / 86_400 } }
        : { AbortIncompleteMultipartUpload: { DaysAfterInitiation: afterSeconds / 86_400 } }),
    })),
  };
  const rule = {
    AllowedMethods: methods,
    AllowedOrigins: origins,
    AllowedHeaders: headers,
    ExposeHeaders: exposeHeaders,
    MaxAgeSeconds: maxAgeSeconds,
  };
  const at = `--endpoint-url ${endpoint} --bucket ${bucket}`;
  const set = (what: string, option: string, value: unknown) =>
    `aws s3api put-bucket-${what} ${at} --${option} '${JSON.stringify(value)}'`;
  return [
    set("lifecycle-configuration", "lifecycle-configuration", lifecycle),
    ...(origins.length === 0 ? [] : [set("cors", "cors-configuration", { CORSRules: [rule] })]),
  ].join("\n");
}
