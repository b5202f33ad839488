/**
 * Installs the packages before the first entry runs. Plain JavaScript without packages, as scripts/launch.mjs.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { endOf, isAlive, LaunchError, readText } from "./child.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const installLock = join(root, ".ocrlty-install.tmp");
const installStamp = join(root, "node_modules", ".ocrlty-lock");
/** No installation takes longer than this, so an older lock is stale. */
const installLockMaxMs = 15 * 60_000;
const pollMs = 200;

/** Runs `npm ci` unless it already succeeded for this lock file on this kind of machine. */
export async function install() {
  const wanted = `${sha256(join(root, "package-lock.json"))} ${process.platform}-${process.arch}`;
  if (isInstalled(wanted)) return;
  await takeInstallLock();
  try {
    if (isInstalled(wanted)) return; // another process did it while we waited
    const startedAt = Date.now();
    process.stderr.write("installing packages, once… ");
    await npmCi();
    fs.writeFileSync(installStamp, `${wanted}\n`);
    process.stderr.write(`done in ${Math.round((Date.now() - startedAt) / 1000)} s\n`);
  } finally {
    fs.rmSync(installLock, { force: true });
  }
}

function isInstalled(wanted) {
  // The stamp may hold only the hash; the platform is added for folders shared between systems.
  const stamp = readText(installStamp).trim();
  if (stamp === wanted || stamp === wanted.split(" ")[0]) return true;
  if (!isInstalledByHand()) return false;
  fs.writeFileSync(installStamp, `${wanted}\n`);
  return true;
}

/**
 * True if the user ran `npm ci` or `npm install`: npm's record of node_modules, which it writes last, has every package
 * of the lock file that this system needs, in the same version.
 */
function isInstalledByHand() {
  const installed = readJson(join(root, "node_modules", ".package-lock.json"))?.packages;
  const locked = readJson(join(root, "package-lock.json"))?.packages;
  if (!installed || !locked) return false;
  return Object.entries(locked).every(([path, entry]) => {
    if (path === "" || installed[path]?.version === entry.version) return true;
    // Optional packages for this system must be installed; npm decides which C library it has.
    if (!entry.optional) return false;
    return (
      entry.libc ||
      !entry.os ||
      !entry.os.includes(process.platform) ||
      (entry.cpu && !entry.cpu.includes(process.arch))
    );
  });
}

/**
 * Two commands started together must not both install. The lock is a file with the process ids of its holder and the
 * holder's npm. It is stale once both have ended, so a kill -9 blocks no later command.
 */
async function takeInstallLock() {
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(installLock, `${process.pid}`, { flag: "wx" });
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw new LaunchError(`cannot write in ${root} (${error.code})`);
    }
    const seen = readText(installLock);
    if (isStale(seen)) {
      // Only one process can win the rename; it checks again before it deletes the lock.
      const aside = `${installLock}.${process.pid}.tmp`;
      try {
        fs.renameSync(installLock, aside);
        if (readText(aside) !== seen) fs.linkSync(aside, installLock);
      } catch {
        // another process was faster
      }
      fs.rmSync(aside, { force: true });
      continue;
    }
    if (!told) process.stderr.write("another command is installing the packages; waiting for it\n");
    told = true;
    await new Promise((done) => setTimeout(done, pollMs));
  }
}

function isStale(content) {
  let ageMs;
  try {
    ageMs = Date.now() - fs.statSync(installLock).mtimeMs;
  } catch {
    return false; // just released
  }
  if (ageMs > installLockMaxMs) return true;
  const holders = content.split(" ").filter(Boolean).map(Number);
  // An empty lock is just being written, unless it stays empty.
  return holders.length === 0 ? ageMs > 5000 : !holders.some(isAlive);
}

/**
 * None of our packages needs an install script, so none runs: npm 10, 11 and 12 then behave alike. Development packages
 * are installed with any NODE_ENV.
 */
async function npmCi() {
  const args = [
    "ci",
    "--ignore-scripts",
    "--include=dev",
    "--include=optional",
    "--loglevel=error",
    "--no-fund",
    "--no-audit",
    "--no-progress",
  ];
  const { command, before, shell } = npm();
  const env = { ...process.env };
  // The outer `npm --prefix … run` passes its settings on in the environment; here npm must work on this folder only.
  for (const key of Object.keys(env)) {
    if (
      /^npm_config_(prefix|local_prefix|global|workspaces?|include_workspace_root|omit|only|production|dry_run|package_lock(_only)?|json)$/i.test(
        key,
      )
    )
      delete env[key];
  }
  // stdout is only for the command's answer: npm's output is shown on stderr, and only if it fails.
  const child = spawn(command, [...before, ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", 2],
    shell,
    windowsHide: true,
  });
  child.once("spawn", () => fs.writeFileSync(installLock, `${process.pid} ${child.pid}`));
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  let interrupted;
  const forward = (signal) => {
    interrupted = signal;
    child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, forward);
  const ended = await endOf(child, "close");
  for (const signal of signals) process.off(signal, forward);
  if (interrupted)
    throw new LaunchError(
      "interrupted; the next command installs the packages again",
      128 + os.constants.signals[interrupted],
    );
  if (ended.error) throw new LaunchError(`cannot start npm (${ended.error.code}): install npm 10 or newer`);
  if (ended.status !== 0) {
    process.stderr.write(`\n${output}`);
    throw new LaunchError(
      `npm ci failed (exit status ${ended.status}): see above; once that is cured, run the command again`,
    );
  }
}

/** The npm that started this process, else the one that came with this Node, else the one on the PATH. */
function npm() {
  const given = process.env.npm_execpath ?? "";
  const bundled = [
    join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"),
    join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"),
  ];
  // Under pnpm and yarn, npm_execpath is their own file, and they have no `ci`.
  const script = [...(/npm-cli\.[cm]?js$/.test(given) ? [given] : []), ...bundled].find((path) =>
    fs.existsSync(path),
  );
  // Running the script with Node avoids npm.cmd, which Windows starts only through a shell.
  if (script) return { command: process.execPath, before: [script], shell: false };
  return { command: "npm", before: [], shell: process.platform === "win32" };
}

function sha256(path) {
  try {
    return createHash("sha256").update(fs.readFileSync(path)).digest("hex");
  } catch (error) {
    throw new LaunchError(`cannot read ${path} (${error.code})`);
  }
}

function readJson(path) {
  try {
    return JSON.parse(readText(path));
  } catch {
    return undefined;
  }
}
