import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };

export const root = fileURLToPath(new URL("../", import.meta.url));

/** The folder with SST's components and the providers' packages, which `sst install` writes. */
export const platform = join(root, ".sst", "platform");

/** The first installation takes about a minute on a slow connection, for 300 MB. */
const installMs = 240_000;

/** Marks a complete installation for this version of SST and the providers; `sst install` leaves no reliable mark. */
const stamp = join(root, ".sst", "ocrlty-installed");

/**
 * Installs the components if they are missing. False if that is impossible: the registry cannot be reached, or SST does
 * not support this system.
 */
export async function ensure(): Promise<boolean> {
  const wanted = `${manifest.devDependencies.sst} ${fs.readFileSync(join(root, "sst.config.ts"), "utf8").match(/providers: .*/)?.[0]}`;
  if (fs.existsSync(join(platform, "node_modules", "@pulumi", "aws")) && read(stamp) === wanted) return true;
  const env = {
    ...process.env,
    // SST calls npm and node by name: they must be the ones that run this.
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`,
    SST_SKIP_DEPENDENCY_CHECK: "1",
    NO_BUN: "1",
    SST_TELEMETRY_DISABLED: "1",
  };
  if (!(await isRegistryThere(env))) return false;
  const sst = join(root, "node_modules", "sst", "bin", "sst.mjs");
  const done = await run([sst, "install", "--stage", "ci"], env);
  if (done) fs.writeFileSync(stamp, wanted);
  return done;
}

/** Runs the program to its end; at the time limit it is killed with everything that it started. */
function run(args: string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  const isPosix = process.platform !== "win32";
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: "ignore", detached: isPosix });
  const timer = setTimeout(() => {
    if (isPosix && child.pid !== undefined) process.kill(-child.pid);
    else child.kill();
  }, installMs);
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

/** Checked first, because SST itself retries for minutes. Through npm, which knows mirrors and proxies. */
function isRegistryThere(env: NodeJS.ProcessEnv): Promise<boolean> {
  const args = ["view", "sst", "version", "--fetch-retries=0", "--fetch-timeout=10000"];
  const onWindows = process.platform === "win32";
  return new Promise((resolve) => {
    const options = { cwd: root, env, timeout: 20_000, shell: onWindows };
    execFile(onWindows ? "npm.cmd" : "npm", args, options, (error) => resolve(error === null));
  });
}

function read(path: string): string | undefined {
  return fs.existsSync(path) ? fs.readFileSync(path, "utf8") : undefined;
}
