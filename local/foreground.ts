/**
 * `npm start`: the local loop in the foreground. `--watch` (`npm run dev`) loads changed code without dropping
 * calls. Exit status: 130 after Ctrl-C, 0 after SIGTERM, 2 when it does not start.
 */

import * as Config from "#core/config";
import { AppError } from "#core/error";
import { BundleError } from "#local/bundle";
import { PortError } from "#local/gateway/server";
import { HomeError, loadEnv } from "#local/home";
import { HeldError } from "#local/lock";
import { type Loop, start } from "#local/loop";
import * as Watch from "#local/watch";

const signals: Partial<Record<NodeJS.Signals, number>> = {
  SIGINT: 130,
  SIGBREAK: 130,
  SIGTERM: 0,
  SIGHUP: 0,
};

/** Runs the loop of this environment and its `.env` until a signal ends the process. */
export async function run(): Promise<void> {
  loadEnv();
  let loop: Loop | undefined;
  let stopping = false;
  for (const [signal, status] of Object.entries(signals)) {
    process.on(signal, () => {
      // The second one is meant: whatever still runs is killed with this process. So is a start that is not wanted any more.
      if (stopping || loop === undefined) process.exit(status || 130);
      stopping = true;
      void loop.close().then(() => process.exit(status));
    });
  }
  try {
    const { PORT: port } = Config.parse("ports", process.env);
    loop = await start({
      home: process.env.OCRLTY_HOME || ".ocrlty",
      port,
      env: process.env,
      warn: (line) => console.error(line),
    });
    if (process.argv.includes("--watch")) Watch.start(loop, (line) => console.error(line));
    announce(loop);
  } catch (error) {
    if (!isExpected(error)) throw error;
    console.error(`ocrlty: ${error.message}`);
    process.exit(2);
  }
}

/** The address comes last: programs wait for that line. */
function announce(loop: Loop): void {
  const { apiKey, apiKeyPath, home, logPath, url } = loop;
  console.log(`data in ${home}, log in ${logPath}`);
  if (apiKey === undefined)
    console.log("the key local-admin is revoked: npm run keys -- create-key makes another");
  else console.log(`key with role admin in ${apiKeyPath}`);
  if (loop.modelPid() !== undefined)
    console.log("VLLM_BASE_URL is not set: the stand-in model server local-ocr answers");
  else console.log(`the model server is ${loop.env.VLLM_MODEL ?? "the default model"} at VLLM_BASE_URL`);
  if (loop.env.AUTH_ENABLED === "0")
    console.log("AUTH_ENABLED=0: every call runs as anonymous, without a key");
  console.log(`the API's pages are at ${url}/docs`);
  console.log(`OCRlty is ready at ${url}`);
}

/** Mistakes that the person at the terminal can mend; anything else is ours and keeps its stack trace. */
function isExpected(error: unknown): error is Error {
  return [PortError, HeldError, HomeError, Config.ConfigError, AppError, BundleError].some(
    (type) => error instanceof type,
  );
}
