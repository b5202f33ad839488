/**
 * What a function may be linked to. A link's properties carry the names of the variables that core/config.ts reads,
 * so nothing has to translate between the two.
 */
import { host, jurisdiction } from "../spec/jurisdiction.ts";
import { rules } from "../spec/lifecycle.ts";
import { urlVariable } from "../spec/queues.ts";
import { type LinkName, secrets } from "../spec/settings.ts";
import { pairs } from "./queue-resources.ts";

const where = jurisdiction(process.env);
const bucket = new sst.cloudflare.Bucket("Bucket", {
  transform: {
    bucket: (args, options) => {
      if (where !== "default") args.jurisdiction = where;
      // SST's own list of what a retaining stage keeps has no bucket of Cloudflare.
      options.retainOnDelete = $app.removal !== "remove";
    },
  },
});
const bucketName = bucket.name;
const accountId = bucket.nodes.bucket.accountId.apply((id) => {
  if (id === undefined) throw new Error("CLOUDFLARE_DEFAULT_ACCOUNT_ID is not set");
  return id;
});

new cloudflare.R2BucketLifecycle("BucketLifecycle", {
  accountId,
  bucketName,
  ...(where === "default" ? {} : { jurisdiction: where }),
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

// Browsers put files straight into the bucket, by signed URLs, from the origins that may call the API.
const origins = (process.env.CORS_ALLOW_ORIGINS ?? "")
  .split(",")
  .map((origin) => origin.trim())
  .filter((origin) => origin !== "");
if (origins.length > 0) {
  new cloudflare.R2BucketCors("BucketCors", {
    accountId,
    bucketName,
    ...(where === "default" ? {} : { jurisdiction: where }),
    rules: [
      {
        allowed: { methods: ["PUT", "GET"], origins, headers: ["content-type", "if-none-match"] },
        exposeHeaders: ["ETag"],
        maxAgeSeconds: 600,
      },
    ],
  });
}

/** The stage's secrets that belong to a link, by variable. */
function secretsOf(link: LinkName): Record<string, $util.Output<string>> {
  return Object.fromEntries(
    Object.entries<{ secret: string; link: LinkName; optional?: true }>(secrets)
      .filter(([, entry]) => entry.link === link)
      .map(([variable, entry]) => [
        variable,
        new sst.Secret(entry.secret, entry.optional === true ? "" : undefined).value,
      ]),
  );
}

/** Everything by the names that functions.ts uses. R2, Turso and the model server are reached over HTTP, with no right of AWS. */
export const links: Record<LinkName, sst.Linkable<Record<string, unknown>>> = {
  auth: new sst.Linkable("Auth", { properties: secretsOf("auth") }),
  database: new sst.Linkable("Database", { properties: secretsOf("database") }),
  bucket: new sst.Linkable("Storage", {
    properties: {
      S3_BUCKET: bucketName,
      S3_ENDPOINT_URL: accountId.apply((id) => `https://${host(id, where)}`),
      S3_REGION: "auto",
      ...secretsOf("bucket"),
    },
  }),
  model: new sst.Linkable("Model", { properties: secretsOf("model") }),
  webhook: new sst.Linkable("Webhook", { properties: secretsOf("webhook") }),
  // No function asks for it: whoever has the key can delete every pod of its account and read their variables. `sst shell`
  // has every link, and so the operator's command has this one.
  pod: new sst.Linkable("Pod", { properties: secretsOf("pod") }),
  // Addresses alone: a link to the queue itself would allow sqs:*. What a function may do is in functions.ts.
  queues: new sst.Linkable("Queues", {
    properties: Object.fromEntries(
      Object.entries(pairs).map(([name, { queue }]) => [urlVariable(name), queue.url]),
    ),
  }),
};
