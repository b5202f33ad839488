/**
 * The state from which a batch is resumed: `$OCRLTY_HOME/batches/<run_id>.json`, replaced atomically. It has file names
 * and addresses, never a key.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { UsageError } from "#cli/terminal/context";
import * as Dialect from "#core/export/table/dialect";
import * as Table from "#core/export/table/table";
import { ManifestLine } from "#core/run/schema";
import { type Env, home } from "#local/home/home";
import { LeftOut } from "./left-out.ts";

const State = z.object({
  version: z.literal(1),
  run_id: z.string(),
  /** The server of the batch; null is the local loop of this folder. */
  server: z.string().nullable(),
  /** The source on the command line: a folder or a manifest. */
  source: z.string(),
  options: z.object({
    task_id: z.string().optional(),
    concurrency: z.union([z.number(), z.literal("auto")]).optional(),
    persist_inputs: z.boolean().optional(),
    look: z.boolean().optional(),
    max_pages: z.number().optional(),
    split: z.literal("auto").optional(),
    webhook_url: z.string().optional(),
    expires_after: z.number().optional(),
    gt_id: z.string().optional(),
    gt_path: z.string().optional(),
    gt_image_key: z.string().optional(),
  }),
  /** The bars that its evaluation must reach (`--fail-under`). */
  fail_under: z.array(z.string()).default([]),
  /** Absolute. */
  out: z.string().nullable(),
  /** The format of a table there. */
  table: z
    .object({
      values: z.enum(Table.values).optional(),
      dialect: z.enum(Dialect.names).optional(),
      bom: z.boolean().optional(),
    })
    .default({}),
  /** The partial results that an interruption wrote there: only these may be replaced by the results. */
  partial: z.object({ bytes: z.number(), modified_ms: z.number() }).nullable(),
  /** The server has the run, so no uploads are left. */
  sent: z.boolean(),
  /** The files of the folder that were left out, for the report at the end. */
  skipped: z.number().default(0),
  left_out: LeftOut.optional(),
  manifest: z.object({ ref: z.string(), uploaded_at: z.number() }).nullable(),
  entries: z.array(
    z.object({
      // Before the upload a local file's line has no reference yet.
      line: z.object(ManifestLine.shape),
      path: z.string().optional(),
      mimeType: z.string().optional(),
      uploadedAt: z.number().optional(),
    }),
  ),
});
export type State = z.output<typeof State>;

const folder = (env: Env) => join(home(env).dir, "batches");
const fileOf = (env: Env, runId: string) => join(folder(env), `${runId}.json`);

export function exists(env: Env, runId: string): boolean {
  return fs.existsSync(fileOf(env, runId));
}

/** The state of a batch that was started here, if there is one. Throws UsageError if it cannot be read. */
export function load(env: Env, runId: string): State | undefined {
  const path = fileOf(env, runId);
  let text: string;
  try {
    text = fs.readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new UsageError(`cannot read ${path}`);
  }
  let state: State | undefined;
  try {
    state = State.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
  }
  // A file system that ignores case may find another run's file.
  if (state?.run_id !== runId) throw new UsageError(`${path} is not the state of a batch: delete it`);
  return state;
}

/** Atomic: a killed process leaves the old or the new state. Throws UsageError. */
export function save(env: Env, state: State): void {
  const path = fileOf(env, state.run_id);
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    fs.mkdirSync(folder(env), { recursive: true, mode: 0o700 });
    fs.writeFileSync(draft, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: "wx" });
    fs.renameSync(draft, path);
  } catch (error) {
    fs.rmSync(draft, { force: true });
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new UsageError(`cannot write ${path} (${code})`);
  }
}

export function remove(env: Env, runId: string): void {
  fs.rmSync(fileOf(env, runId), { force: true });
}

/** At least a second between writes, and at most a twentieth of the time for writing: a large state takes a while. */
const saveEveryMs = 1_000;
const saveShare = 20;

/** Saves regularly during uploads; after a kill -9, only uploads since the last save are repeated. */
export function saver(env: Env, state: State): () => void {
  let nextAt = 0;
  return () => {
    const now = performance.now();
    if (now < nextAt) return;
    save(env, state);
    const took = performance.now() - now;
    nextAt = performance.now() + Math.max(saveEveryMs, took * saveShare);
  };
}
