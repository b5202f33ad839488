/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  app(input) {
    const isProduction = input.stage === "production";
    return {
      name: "ocrlty",
      home: "aws",
      // A personal stage is gone when it is removed; production keeps its bucket and refuses `sst remove`.
      removal: isProduction ? "retain" : "remove",
      protect: isProduction,
      // With another S3, and no bucket on R2 to keep or to remove, nobody needs an account at Cloudflare.
      providers: {
        aws: "7.20.0",
        ...(process.env.S3_ENDPOINT_URL && !process.env.R2_BUCKET_LEFT ? {} : { cloudflare: "6.15.0" }),
      },
    };
  },
  async run() {
    // The functions take this name for the loop on a laptop, where more is allowed.
    if ($app.stage === "local") throw new Error('"local" is not a name for a stage');
    // Rights are given by the beginning of names, "ocrlty-production-": names of other resources must not begin with
    // it.
    if (/^(production|staging)-/.test($app.stage))
      throw new Error("a stage's name may not begin with production- or staging-");
    // SST's globals exist only now: nothing of infra may be imported above.
    await import("./infra/links.ts");
    await import("./infra/functions.ts");
    await import("./infra/workers.ts");
    const { api } = await import("./infra/api.ts");
    await import("./infra/alarms.ts");
    const { commands } = await import("./infra/bucket.ts");
    return { url: api.url, ...(commands === undefined ? {} : { setOnYourBucket: commands }) };
  },
});
