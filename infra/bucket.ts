/** The stage's bucket: on R2 with its rules, or the bucket on another S3 that the deploying environment names. */
import { settings, takes } from "../core/setting.ts";
import { host, type Jurisdiction, jurisdiction } from "../spec/jurisdiction.ts";
import { rules } from "../spec/lifecycle.ts";
import { assertKept, cors, leftBucket, storage, toSet } from "../spec/storage.ts";

const where = storage(process.env);
// What the last deployment made is known by the names of its components.
const left = leftBucket(process.env, Object.hasOwn($cli.state.version, "Bucket"));

/** A setting of another S3, checked as the functions check it. @throws Error for a value that they would refuse. */
function checked<Name extends keyof typeof settings.bucket>(name: Name, value: string): string {
  const schema = settings.bucket[name];
  if (!schema.safeParse(value).success) throw new Error(`${name} is not valid: it takes ${takes(schema)}`);
  return value;
}

/** @param kept - the name of a bucket to keep although the stage uses another. */
function onR2(place: Jurisdiction, kept?: string) {
  const inPlace = place === "default" ? {} : { jurisdiction: place };
  const bucket = new sst.cloudflare.Bucket("Bucket", {
    transform: {
      bucket: (args, options) => {
        if (place !== "default") args.jurisdiction = place;
        // SST's list of resources that a stage with `retain` keeps has no Cloudflare buckets.
        options.retainOnDelete = $app.removal !== "remove";
      },
    },
  });
  const accountId = bucket.nodes.bucket.accountId.apply((id) => {
    if (id === undefined) throw new Error("CLOUDFLARE_DEFAULT_ACCOUNT_ID is not set");
    return id;
  });
  const bucketName = bucket.name.apply((name) => {
    assertKept(kept, name);
    return name;
  });
  new cloudflare.R2BucketLifecycle("BucketLifecycle", {
    accountId,
    bucketName,
    ...inPlace,
    rules: rules(process.env).map(({ id, prefix, what, afterSeconds }) => {
      const transition = { condition: { type: "Age", maxAge: afterSeconds } };
      return {
        id,
        enabled: true,
        conditions: { prefix },
        ...(what === "objects"
          ? { deleteObjectsTransition: transition }
          : { abortMultipartUploadsTransition: transition }),
      };
    }),
  });
  const { methods, origins, headers, exposeHeaders, maxAgeSeconds } = cors(process.env);
  if (origins.length > 0)
    new cloudflare.R2BucketCors("BucketCors", {
      accountId,
      bucketName,
      ...inPlace,
      rules: [{ allowed: { methods, origins, headers }, exposeHeaders, maxAgeSeconds }],
    });
  return {
    S3_BUCKET: bucketName,
    S3_ENDPOINT_URL: accountId.apply((id) => `https://${host(id, place)}`),
    S3_REGION: "auto",
  };
}

function elsewhere({ bucket, endpoint, region }: Extract<typeof where, { kind: "own" }>) {
  // Declared as before, so that nothing changes in it; R2_JURISDICTION still says where it is.
  if (typeof left === "object") onR2(jurisdiction(process.env), left.kept);
  return {
    S3_BUCKET: checked("S3_BUCKET", bucket),
    S3_ENDPOINT_URL: checked("S3_ENDPOINT_URL", endpoint),
    S3_REGION: checked("S3_REGION", region),
  };
}

/** What a function needs to reach the bucket, apart from the keys. */
export const properties = where.kind === "r2" ? onR2(where.jurisdiction) : elsewhere(where);

/** The commands for the rules that a deployment cannot set on another S3's bucket; printed at its end. */
export const commands = where.kind === "own" ? toSet(process.env, where) : undefined;
