import process from "node:process";
import { start } from "#local/model/server";

/**
 * The stand-in model server as a process of its own: `PORT=8001 node local/model/main.ts`.
 * Prints its address when it is ready. Ends on SIGTERM, SIGINT, and with the process that forked it.
 */
const { PORT, HOST, MODEL_SERVER_API_KEY, MODEL_SERVER_IDLE_SLEEP_S } = process.env;

const server = await start({
  port: Number(PORT ?? 0),
  ...(HOST ? { host: HOST } : {}),
  ...(MODEL_SERVER_API_KEY ? { apiKey: MODEL_SERVER_API_KEY } : {}),
  ...(MODEL_SERVER_IDLE_SLEEP_S ? { idleSleepMs: Number(MODEL_SERVER_IDLE_SLEEP_S) * 1000 } : {}),
  log: (line) => console.error(`model: ${line}`),
}).catch((error: Error) => {
  console.error(`model: cannot start: ${error.message}`);
  process.exit(2);
});

let ending = false;

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await server.close();
  process.exit(0);
}

process.on("SIGTERM", () => void end());
process.on("SIGINT", () => void end());
process.on("disconnect", () => void end());

console.log(server.url);
process.send?.({ kind: "ready", url: server.url });
