/**
 * Servers by name in one file, `profiles.json`: in `OCRLTY_HOME` if that is set to another folder, else in the user's
 * settings folder (`$XDG_CONFIG_HOME/ocrlty` or `~/.config/ocrlty`; on Windows `%APPDATA%\ocrlty`). It contains keys,
 * so only its owner may read it (mode 600).
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import * as z from "zod";
import { UsageError } from "#cli/terminal/context";
import { type Env, home, packageRoot } from "#local/home/home";
import * as Client from "./client.ts";

const Profile = z.object({ url: z.string(), key: z.string().optional() });
export type Profile = z.output<typeof Profile>;

const File = z.object({
  version: z.literal(1),
  /** The default profile; null for the local loop. */
  current: z.string().nullable(),
  profiles: z.record(z.string(), Profile),
});
type File = z.output<typeof File>;

/** The reserved name of the checkout's loop, whatever other server is configured. */
export const local = "local";

const privateMode = 0o600;
/** The default of OCRLTY_HOME. */
const usual = ".ocrlty";
const empty: File = { version: 1, current: null, profiles: {} };

export function fileOf(env: Env): string {
  // `.env.example` sets the usual folder: a copy of it must not hide existing profiles.
  const isElsewhere = resolve(packageRoot, env.OCRLTY_HOME || usual) !== join(packageRoot, usual);
  return join(isElsewhere ? home(env).dir : settingsFolder(env), "profiles.json");
}

/** The user's own folder of settings for this program; it need not exist. */
export function settingsFolder(env: Env): string {
  const settings =
    process.platform === "win32"
      ? env.APPDATA || join(homedir(), "AppData", "Roaming")
      : env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(settings, "ocrlty");
}

/** The existing profiles; none without a file. Throws UsageError for an invalid file. */
export function load(env: Env): File {
  const path = fileOf(env);
  let text: string;
  try {
    text = fs.readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return empty;
    throw new UsageError(`cannot read ${path} (${codeOf(error)})`);
  }
  const file = File.safeParse(parse(text));
  if (!file.success) throw new UsageError(`${path} has no valid profiles: correct it, or delete it`);
  return file.data;
}

/** The file's mode if other users may read it; undefined if they cannot, or the system has no modes. */
export function openTo(env: Env): string | undefined {
  if (process.platform === "win32") return undefined;
  const mode = fs.statSync(fileOf(env), { throwIfNoEntry: false })?.mode;
  return mode === undefined || (mode & 0o077) === 0 ? undefined : (mode & 0o777).toString(8);
}

/** Replaces the file in one step, so that readers never see an incomplete file or another mode. Throws UsageError. */
function save(env: Env, file: File): void {
  const path = fileOf(env);
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    fs.writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: privateMode, flag: "wx" });
    fs.renameSync(draft, path);
  } catch (error) {
    fs.rmSync(draft, { force: true });
    throw new UsageError(`cannot write ${path} (${codeOf(error)})`);
  }
}

/** The profile of this name. Throws UsageError with the names there are. */
export function get(env: Env, name: string): Profile {
  const { profiles } = load(env);
  const found = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(profiles);
  throw new UsageError(
    `there is no profile ${name}: ${names.length === 0 ? "profile add makes one" : `there ${names.length === 1 ? "is" : "are"} ${names.join(", ")}`}`,
  );
}

/** Adds a profile, or replaces one if that was requested. Throws UsageError and CallError. */
export function add(env: Env, name: string, profile: Profile, { replace }: { replace: boolean }): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) || name === local)
    throw new UsageError(
      name === local
        ? `${local} is the name of the local loop: take another`
        : "a profile's name is 1 to 64 letters, digits, dots, dashes and underscores",
    );
  const { url, apiKey } = Client.target(profile.url, profile.key);
  const file = load(env);
  if (Object.hasOwn(file.profiles, name) && !replace)
    throw new UsageError(`there is a profile ${name} already: take another name, or add --force`);
  const saved = { url: url.href, ...(apiKey === undefined ? {} : { key: apiKey }) };
  save(env, { ...file, profiles: { ...file.profiles, [name]: saved } });
}

/** Removes a profile; if it was the default, there is none afterwards. Throws UsageError if it does not exist. */
export function remove(env: Env, name: string): void {
  get(env, name);
  const file = load(env);
  const profiles = Object.fromEntries(Object.entries(file.profiles).filter(([each]) => each !== name));
  save(env, { ...file, profiles, current: file.current === name ? null : file.current });
}

/** The profile that is used by default from now on; `local`: none, as it was in the beginning. */
export function use(env: Env, name: string): void {
  if (name !== local) get(env, name);
  save(env, { ...load(env), current: name === local ? null : name });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
