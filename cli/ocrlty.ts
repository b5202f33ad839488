/** `npm run ocrlty -- NOUN …`; `extract`, `keys` and `smoke` have scripts of their own in package.json. */

import { main } from "#cli/process";
import { withLinks } from "#cli/server/links";
import { loadEnv } from "#local/home/home";
import { nouns } from "./program.ts";

loadEnv();
await main({ env: withLinks(process.env), program: process.env.OCRLTY_PROGRAM || undefined }, nouns);
