/** The HTTP API: every route of routes.ts, and the fallback function for everything else. */

import { defaultFunction, deployed } from "../spec/routes.ts";
import { functions } from "./functions.ts";

export const api = new sst.aws.ApiGatewayV2("Api", {
  cors: false,
  // Its fields (requestTime, path, status, …) hold no query string and no header but the user agent.
  accessLog: { retention: "1 month" },
  transform: {
    api: (args) => {
      // With a CORS setting the gateway drops the functions' CORS headers and answers OPTIONS itself. SST turns `false`
      // into an empty setting, which has the same effect (sst#6748).
      args.corsConfiguration = undefined;
    },
    stage: (args) => {
      // Protects the account's Lambda concurrency and the bill; a key's own limit comes from the functions.
      args.defaultRouteSettings = { throttlingBurstLimit: 200, throttlingRateLimit: 100 };
    },
  },
  ...(process.env.OCRLTY_DOMAIN ? { domain: process.env.OCRLTY_DOMAIN } : {}),
});

for (const route of deployed) api.route(`${route.method} ${route.path}`, functions[route.function].arn);
api.route("$default", functions[defaultFunction].arn);
