/**
 * The links of functions. A link's properties have the names of the variables that core/config.ts reads, so no
 * translation is needed.
 */
import { urlVariable } from "../spec/queues.ts";
import { type LinkName, secrets } from "../spec/settings.ts";
import { properties as bucket } from "./bucket.ts";
import { pairs } from "./queue-resources.ts";

/** A managed pod's address follows the pod: there is none to set. */
const isOptional = (variable: string, { optional }: { optional?: true }) =>
  optional === true || (variable === "VLLM_BASE_URL" && process.env.POD_MANAGER === "on");

/** The stage's secrets for a link, by variable. */
function secretsOf(link: LinkName): Record<string, $util.Output<string>> {
  return Object.fromEntries(
    Object.entries<{ secret: string; link: LinkName; optional?: true }>(secrets)
      .filter(([, entry]) => entry.link === link)
      .map(([variable, entry]) => [
        variable,
        new sst.Secret(entry.secret, isOptional(variable, entry) ? "" : undefined).value,
      ]),
  );
}

/**
 * All links by the names that functions.ts uses. R2, Turso and the model server are reached over HTTP and need no
 * rights in AWS.
 */
export const links: Record<LinkName, sst.Linkable<Record<string, unknown>>> = {
  auth: new sst.Linkable("Auth", { properties: secretsOf("auth") }),
  database: new sst.Linkable("Database", { properties: secretsOf("database") }),
  bucket: new sst.Linkable("Storage", {
    properties: {
      ...bucket,
      ...secretsOf("bucket"),
    },
  }),
  model: new sst.Linkable("Model", { properties: secretsOf("model") }),
  webhook: new sst.Linkable("Webhook", { properties: secretsOf("webhook") }),
  // Only the manager's function is linked to it: the key can delete every pod of its account and read their variables. `sst
  // shell` has every link, so the operator's command has this one.
  pod: new sst.Linkable("Rental", { properties: secretsOf("pod") }),
  // Only addresses: a link to the queue itself would allow sqs:*. A function's rights come from functions.ts.
  queues: new sst.Linkable("Queues", {
    properties: Object.fromEntries(
      Object.entries(pairs).map(([name, { queue }]) => [urlVariable(name), queue.url]),
    ),
  }),
};
