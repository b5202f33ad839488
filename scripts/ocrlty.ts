/** `npm run ocrlty -- NOUN …`; `extract`, `keys` and `smoke` have scripts of their own in package.json. */
import { loadEnv } from "#local/home";
import { withLinks } from "#scripts/links";
import { main } from "#scripts/process";
import { nouns } from "#scripts/program";

loadEnv();
await main({ env: withLinks(process.env), program: process.env.OCRLTY_PROGRAM || undefined }, nouns);
