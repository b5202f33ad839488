/** What R2 promises about the place of a bucket's data; `default` promises nothing. */
const jurisdictions = ["default", "eu", "fedramp"] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

/**
 * `R2_JURISDICTION` of the deploying environment: where the bucket's data may be stored and worked on, which is chosen
 * when it is made and never again. `us`, which R2 has had since August 2026, is left out until SST's provider takes it.
 * https://developers.cloudflare.com/r2/reference/data-location/
 *
 * @throws Error with the values that there are.
 */
export function jurisdiction(env: Readonly<Record<string, string | undefined>>): Jurisdiction {
  const value = env.R2_JURISDICTION || "default";
  const found = jurisdictions.find((each) => each === value);
  if (!found) throw new Error(`R2_JURISDICTION must be one of ${jurisdictions.join(", ")}`);
  return found;
}

/** The host of the S3 API below `r2.cloudflarestorage.com` differs: on the usual one a bucket of the EU does not exist. */
export function host(accountId: string, where: Jurisdiction): string {
  return where === "default"
    ? `${accountId}.r2.cloudflarestorage.com`
    : `${accountId}.${where}.r2.cloudflarestorage.com`;
}
