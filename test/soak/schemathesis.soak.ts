/**
 * Calls that schemathesis generates from the OpenAPI document alone, valid and invalid ones: no 5xx, no answer
 * outside the document, nothing accepted that it forbids and nothing refused that it allows. The Python program is
 * installed once, outside the repository.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "#local/home/home";
import { startLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

const version = "4.32.0";
const calls = Number(process.env.SCHEMATHESIS_CALLS) || 5_000;
const seed = Number(process.env.SCHEMATHESIS_SEED) || 1;
/** About this many calls an operation gets for each example, all phases together. */
const callsPerExample = 50;
const run = promisify(execFile);
const windows = process.platform === "win32";

/** The program's path; undefined, after printing the reason, if it cannot be installed. */
async function install(): Promise<string | undefined> {
  const dir = join(tmpdir(), `ocrlty-schemathesis-${version}`);
  const bin = join(dir, windows ? "Scripts" : "bin");
  const program = join(bin, windows ? "schemathesis.exe" : "schemathesis");
  if (existsSync(program)) return program;
  try {
    await mkdir(dir, { recursive: true });
    await run(windows ? "python" : "python3", ["-m", "venv", dir]);
    await run(join(bin, "python"), ["-m", "pip", "install", "-q", `schemathesis==${version}`]);
    return program;
  } catch (error) {
    console.warn(
      `skipped: schemathesis ${version} needs Python 3.10 and pip (${String(error).slice(0, 300)})`,
    );
    return undefined;
  }
}

/** Operations that may refuse a call that fits the document, because JSON Schema cannot express the rule. */
const mayRefuse = {
  "cursors are given, not made up": [
    "listExtracts",
    "listRuns",
    "listRunItems",
    "listDebugArtifacts",
    "listEvals",
    "listGroundTruths",
  ],
  "`from` is not after `to`, and not 400 days before": ["getUsage", "getDebugArtifactsBackupTarGz"],
  "the bytes decide, and what is in the query is not in the body": ["extract"],
  "the pictures and receivers that are named must be there": ["batchExtract", "batchExtractRerun"],
  "file names are unique and hold pictures": ["batchExtractUpload"],
  "a length in bytes, and no absolute path": ["createUpload", "deleteData"],
  "CSV's dialects are for CSV": ["listRunResults"],
  "labels are JSON, and a form's name is not blank": ["createGroundTruth"],
};

/**
 * Paths that the template of another route matches, too: `GET …/from_run` is a ground truth of that name, as on AWS.
 */
const covered = ["fromRunGroundTruths"];

const config = (key: string) => `
[auth.openapi.bearer]
bearer = "${key}"
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431]
${Object.values(mayRefuse)
  .flat()
  .map(
    (id) => `[[operations]]
include-operation-id = "${id}"
checks.positive_data_acceptance.enabled = false
${id === "batchExtractUpload" ? "# A field made an empty list leaves no part in the form: nothing wrong is sent.\nchecks.negative_data_rejection.enabled = false\n" : ""}`,
  )
  .join("")}${covered
  .map(
    (id) => `[[operations]]
include-operation-id = "${id}"
checks.unsupported_method.enabled = false
checks.allow_header_conformance.enabled = false
`,
  )
  .join("")}`;

const program = await install();

test.skipIf(program === undefined)(
  `${calls} calls of schemathesis: no 5xx, nothing outside the document`,
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "ocrlty-schemathesis-run-"));
    for (const [i, name] of ["a.jpg", "b.jpg"].entries())
      await writeFile(join(dir, name), await picture(i + 1));
    const fields = ["total", "subtotal", "tax", "service", "discount", "cash", "card", "change"];
    const read = Object.fromEntries(fields.map((name) => [name, name === "total" ? "12.00" : null]));
    const model = await ModelServer.start({ model: "scripted", respond: () => ModelServer.json(read) });
    const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", DATA_ROOT: dir };
    const loop = await startLoop({ env });
    try {
      await writeFile(join(dir, "schemathesis.toml"), config(loop.apiKey));
      const args = [
        ...["run", join(packageRoot, "docs", "openapi.json"), "--url", loop.url],
        ...["--seed", String(seed), "--continue-on-failure", "--output-sanitize", "false"],
        ...["--max-examples", String(Math.max(1, Math.ceil(calls / callsPerExample)))],
        ...["--request-timeout", "60", "--no-shrink", "--warnings", "off", "--max-redirects", "3"],
        ...[
          "--suppress-health-check",
          "all",
          "--report",
          "ndjson",
          "--report-ndjson-path",
          join(dir, "r.ndjson"),
        ],
      ];
      const { code, text } = await run(program ?? "", args, { maxBuffer: 256 * 1024 * 1024, cwd: dir }).then(
        ({ stdout }) => ({ code: 0, text: stdout }),
        ({ code, stdout, stderr }) => ({ code, text: `${stdout}${stderr}` }),
      );
      const ended = loop.events("request_end").length;
      console.info(`${ended} calls`);
      if (code !== 0) console.error(text);
      expect(code, "what schemathesis found is above").toBe(0);
      expect(ended).toBeGreaterThanOrEqual(calls);
    } finally {
      await loop.close();
      await model.close();
      await rm(dir, { recursive: true, force: true });
    }
  },
);
