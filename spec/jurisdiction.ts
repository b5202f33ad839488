/** What R2 guarantees about where a bucket's data is kept; `default` guarantees nothing. */
const jurisdictions = ["default", "eu", "fedramp"] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

/**
 * `R2_JURISDICTION` of the deploying environment: where the bucket's data may be stored and processed. It is chosen
 * when the bucket is made and cannot change. `us`, which R2 has offered since August 2026, is missing until SST's
 * provider accepts it. https://developers.cloudflare.com/r2/reference/data-location/
 *
 * @throws Error that lists the valid values.
 */
export function jurisdiction(env: Readonly<Record<string, string | undefined>>): Jurisdiction {
  const value = env.R2_JURISDICTION || "default";
  const found = jurisdictions.find((each) => each === value);
  if (!found) throw new Error(`R2_JURISDICTION must be one of ${jurisdictions.join(", ")}`);
  return found;
}

/** The host of the S3 API depends on the jurisdiction: the default one does not find a bucket of the EU. */
export function host(accountId: string, where: Jurisdiction): string {
  return where === "default"
    ? `${accountId}.r2.cloudflarestorage.com`
    : `${accountId}.${where}.r2.cloudflarestorage.com`;
}
