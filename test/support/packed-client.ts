/** The client as users get it: packed by npm and installed into an empty folder. */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "#local/home/home";

export interface PackedClient {
  /** The folder that it is installed in. */
  readonly project: string;
  /** The names of the files in the tarball. */
  readonly files: string[];
  run(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
}

/** The npm that started these tests, else the one on the PATH. */
async function npm(args: string[], cwd: string): Promise<string> {
  const own = process.env.npm_execpath ?? "";
  const isOwn = /npm-cli\.js$/.test(own);
  const [command, before] = isOwn ? [process.execPath, [own]] : ["npm", []];
  // Settings of the surrounding npm must not reach this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const shell = !isOwn && process.platform === "win32";
  return (await promisify(execFile)(command, [...before, ...args], { cwd, env, shell })).stdout;
}

/** Packs the client and installs it below this folder, without a registry, because it has no dependencies. */
export async function install(dir: string): Promise<PackedClient> {
  const project = join(dir, "project");
  fs.mkdirSync(project);
  fs.writeFileSync(join(project, "package.json"), '{"private":true}');
  const packed = await npm(
    ["pack", "--json", "--silent", "--pack-destination", dir, join(packageRoot, "packages", "client")],
    packageRoot,
  );
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf("[")));
  await npm(["install", "--offline", "--no-audit", "--no-fund", join(dir, filename)], project);
  const main = join(project, "node_modules", "ocrlty", "dist", "ocrlty.js");
  const user = join(dir, "user");
  const env = { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot, HOME: user, APPDATA: user };
  return {
    project,
    files: files.map(({ path }: { path: string }) => path),
    run: (...args) =>
      new Promise((done) =>
        execFile(process.execPath, [main, ...args], { cwd: project, env }, (error, stdout, stderr) =>
          done({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
        ),
      ),
  };
}
