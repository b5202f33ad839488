/**
 * The folder that holds everything of the local loop: `$OCRLTY_HOME`, default `.ocrlty` in the package.
 * The loop and the commands find each other through it: `pepper`, `api-key`, `url`, `ocrlty.db`; receivers of webhooks
 * get `webhook-secret`.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as dotenv from "dotenv";

export type Env = Readonly<Record<string, string | undefined>>;

/** The package's own folder: relative settings are relative to it, wherever a command was started. */
export const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A secret is read by its owner alone; systems without modes ignore this. */
const privateMode = 0o600;

/** A folder or a file in it that cannot be used; the message is one line for the person at the terminal. */
export class HomeError extends Error {
  override readonly name = "HomeError";
}

/**
 * Puts the package's `.env` into `process.env`; a variable that is really set wins. For entry points only.
 * @returns the names that the file sets.
 */
export function loadEnv(): string[] {
  return Object.keys(dotenv.config({ path: join(packageRoot, ".env"), quiet: true }).parsed ?? {});
}

/** The text of the package's `.env`; empty without one. */
export function envText(): string {
  return read(join(packageRoot, ".env")) ?? "";
}

export interface Home {
  readonly dir: string;
  /** Absolute path of a file in the folder. */
  file(name: string): string;
  /** The local database as a URL that libSQL opens. */
  readonly databaseUrl: string;
  /** `API_KEY_PEPPER`, else the folder's own, made once. Two processes that start together get the same one. */
  pepper(): string;
  /** `WEBHOOK_SECRET`, else the folder's own, made once in the form of the Standard Webhooks scheme. */
  webhookSecret(): string;
  /** The folder that is served as `data/shared/`: `DATA_ROOT`, relative to the package, else the folder's own. */
  readonly dataRoot: string;
  /** The key that `npm start` made for this folder. */
  apiKey(): string | undefined;
  /** The address of the loop that claims to run in this folder; only `GET /health` shows whether it still does. */
  url(): string | undefined;
  /** Replaces a file of the folder atomically; only its owner can read it. */
  write(name: "api-key" | "url" | "bucket-url" | "queue-urls", text: string): void;
  remove(name: "api-key" | "url" | "bucket-url" | "queue-urls"): void;
}

/**
 * The folder of this environment, made when it is missing (mode 700).
 * Throws HomeError when it cannot be made.
 */
export function home(env: Env): Home {
  const dir = resolve(packageRoot, env.OCRLTY_HOME || ".ocrlty");
  try {
    makeFolder(dir);
  } catch (error) {
    throw new HomeError(`OCRLTY_HOME: cannot make the folder ${dir} (${code(error)})`);
  }
  const file = (name: string) => join(dir, name);
  return {
    dir,
    file,
    databaseUrl: pathToFileURL(file("ocrlty.db")).href,
    pepper: () =>
      env.API_KEY_PEPPER ||
      madeOnce(file("pepper"), randomBytes(32).toString("base64url"), "delete it and make new keys"),
    webhookSecret: () =>
      env.WEBHOOK_SECRET ||
      madeOnce(
        file("webhook-secret"),
        `whsec_${randomBytes(32).toString("base64")}`,
        "delete it and tell the receivers the new one",
      ),
    dataRoot: env.DATA_ROOT ? resolve(packageRoot, env.DATA_ROOT) : join(dir, "data", "shared"),
    apiKey: () => read(file("api-key")),
    url: () => read(file("url")),
    write: (name, text) => {
      const draft = write(file(name), text);
      fs.renameSync(draft, file(name));
    },
    remove: (name) => fs.rmSync(file(name), { force: true }),
  };
}

/**
 * The database of this environment: `DATABASE_URL`, else `AUTH_DB_PATH` (the Python version's name), else the
 * file in the folder. A relative `file:` URL is relative to the package, as `OCRLTY_HOME` is.
 */
export function databaseUrl(env: Env): string {
  const url = env.DATABASE_URL || (env.AUTH_DB_PATH ? `file:${env.AUTH_DB_PATH}` : "");
  return url === "" ? home(env).databaseUrl : absoluteDatabaseUrl(url, packageRoot);
}

/** A plain path or a `file:` URL made absolute against `base`; any other URL as it is. */
export function absoluteDatabaseUrl(pathOrUrl: string, base: string): string {
  if (pathOrUrl.startsWith("file:///") || pathOrUrl === ":memory:") return pathOrUrl;
  if (pathOrUrl.startsWith("file:"))
    return pathToFileURL(resolve(base, pathOrUrl.slice("file:".length))).href;
  // `C:\keys.db` looks like a URL whose scheme is `c:`.
  if (isAbsolute(pathOrUrl) || !/^[a-z][a-z0-9+.-]+:\/\//i.test(pathOrUrl))
    return pathToFileURL(resolve(base, pathOrUrl)).href;
  return pathOrUrl;
}

/** Makes one folder after the other, because Node's `recursive` loops forever if none can be made (`/proc/x`). */
function makeFolder(dir: string): void {
  if (fs.existsSync(dir)) return;
  makeFolder(dirname(dir));
  try {
    fs.mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    // Another process was as fast.
    if (code(error) !== "EEXIST") throw error;
  }
}

/** The secret in the file, or `fresh` if there is none yet. `otherwise`: the advice for an empty file. */
function madeOnce(path: string, fresh: string, otherwise: string): string {
  const stored = read(path);
  if (stored !== undefined) return stored;
  // The whole text is on disk before the name exists: no process reads half a secret, and a second process uses the
  // first one's.
  const draft = write(path, fresh);
  try {
    claim(draft, path);
  } finally {
    fs.rmSync(draft, { force: true });
  }
  const secret = read(path);
  if (secret === undefined) throw new HomeError(`${path} is empty: restore it, or ${otherwise}`);
  return secret;
}

/** Gives `draft` the name `path` unless that exists. File systems without hard links (FAT) get an exclusive copy. */
function claim(draft: string, path: string): void {
  try {
    fs.linkSync(draft, path);
  } catch (error) {
    if (code(error) === "EEXIST") return;
    try {
      fs.copyFileSync(draft, path, fs.constants.COPYFILE_EXCL);
    } catch (copyError) {
      if (code(copyError) !== "EEXIST") throw new HomeError(`cannot write ${path} (${code(copyError)})`);
    }
  }
}

/** A complete file beside `path`, under a name of its own. */
function write(path: string, text: string): string {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    fs.writeFileSync(draft, `${text}\n`, { mode: privateMode, flag: "wx" });
  } catch (error) {
    throw new HomeError(`cannot write in ${dirname(path)} (${code(error)})`);
  }
  return draft;
}

function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8").trim() || undefined;
  } catch (error) {
    if (code(error) === "ENOENT") return undefined;
    throw new HomeError(`cannot read ${path} (${code(error)})`);
  }
}

function code(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
