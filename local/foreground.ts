/**
 * `npm start`: the local loop in the foreground. `--watch` (`npm run dev`) loads changed code without dropping
 * calls. Exit status: 130 after Ctrl-C, 0 after SIGTERM, 2 when it does not start.
 */

import * as Config from "#core/config";
import { AppError } from "#core/error";
import * as Announcement from "#local/announcement";
import { BundleError } from "#local/bundle/bundle";
import { PortError } from "#local/gateway/server";
import { envText, HomeError, loadEnv } from "#local/home/home";
import { HeldError } from "#local/home/lock";
import * as Settings from "#local/home/settings";
import { type Loop, start } from "#local/loop";
import * as ModelServer from "#local/model-server";
import * as Terminal from "#local/terminal/terminal";
import * as Watch from "#local/watch";

const defaultBucketPort = 8081;

const signals: Partial<Record<NodeJS.Signals, number>> = {
  SIGINT: 130,
  SIGBREAK: 130,
  SIGTERM: 0,
  SIGHUP: 0,
};

/** Runs the loop of this environment and its `.env` until a signal ends the process. */
export async function run(): Promise<void> {
  const inFile = loadEnv();
  let loop: Loop | undefined;
  let stopping = false;
  for (const [signal, status] of Object.entries(signals)) {
    process.on(signal, () => {
      // A second signal means "at once": everything that still runs is killed with this process. The same applies
      // during a start.
      if (stopping || loop === undefined) process.exit(status || 130);
      stopping = true;
      void loop.close().then(() => process.exit(status));
    });
  }
  // The reader of a pipe may stop (`npm start | head`): the loop goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    const { env } = process;
    Settings.refuseMisspelled(env, inFile);
    const [stray] = Settings.strayLines(envText());
    if (stray !== undefined)
      throw new Config.ConfigError([], `line ${stray} of .env sets nothing: write NAME=value`);
    const { PORT: port, BUCKET_PORT: bucketPort } = Settings.ports(env);
    const { LOG_LEVEL: level } = Config.parse("app", env);
    const look = (stream: NodeJS.WriteStream) => ({ level, colors: Terminal.wantsColors(env, stream) });
    const [out, err] = [look(process.stdout), look(process.stderr)];
    const warn = (line: string) => console.error(Terminal.troubleLine(line, err));
    loop = await start({
      home: env.OCRLTY_HOME || ".ocrlty",
      port,
      // A user who asks for any free port has other loops on the usual ones.
      bucketPort: {
        port: bucketPort ?? (port === 0 ? 0 : defaultBucketPort),
        mayMove: bucketPort === undefined,
      },
      env,
      warn,
      onAnswer: (seen) => {
        const line = Terminal.requestLine(seen, out);
        if (line !== undefined) console.log(line);
      },
    });
    if (process.argv.includes("--watch")) Watch.start(loop, warn);
    const model = loop.modelPid() === undefined ? await ModelServer.notes(loop.env) : [];
    for (const line of Announcement.lines(loop, env, { platform: process.platform, model }))
      console.log(line);
  } catch (error) {
    if (!isExpected(error)) throw error;
    console.error(`ocrlty: ${error.message}`);
    process.exit(2);
  }
}

/** Mistakes that the user can fix; anything else is a bug and keeps its stack trace. */
function isExpected(error: unknown): error is Error {
  return [PortError, HeldError, HomeError, Config.ConfigError, AppError, BundleError].some(
    (type) => error instanceof type,
  );
}
