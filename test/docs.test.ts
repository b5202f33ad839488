/** The docs agree with the code: what they name exists, and what must be documented is. */
import * as fs from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { names } from "#core/config";
import { queues } from "#spec/queues";
import { pascal, secrets } from "#spec/settings";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string) => fs.readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
const pages = ["*.md", "docs/**/*.md", "samples/*.md", "bench/*.md"].flatMap((pattern) =>
  fs.globSync(pattern, { cwd: root }).map((path) => path.replaceAll("\\", "/")),
);
/** The page and its four parts. */
const operate = ["docs/operate.md", ...fs.globSync("docs/operate/*.md", { cwd: root })].map(read).join("\n");
const deploy = read("docs/deploy.md");

/** Text between code fences is code: its `#` are comments. */
const prose = (markdown: string) => markdown.replace(/^```[\s\S]*?^```/gm, "");
const headings = (markdown: string) =>
  [...prose(markdown).matchAll(/^#{1,6} (.+)$/gm)].map(([, title = ""]) => title);

/** A heading's anchor by GitHub's rule: lower case, no punctuation, spaces to hyphens. */
const anchor = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

describe("links and commands", () => {
  test("relative links lead to files and headings that exist", () => {
    const dead: string[] = [];
    for (const page of pages) {
      for (const [, target = ""] of prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path = "", hash] = target.split("#");
        const file = path === "" ? join(root, page) : join(root, dirname(page), path);
        const there =
          fs.existsSync(file) &&
          (hash === undefined ||
            headings(read(relative(root, file)))
              .map(anchor)
              .includes(hash));
        if (!there) dead.push(`${page}: ${target}`);
      }
    }
    expect(pages).toContain("README.md");
    expect(dead).toEqual([]);
  });

  test("every npm script that is named exists, and so does every command of the program", () => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(read("package.json")));
    const commands = fs
      .globSync("**/*.ts", { cwd: join(root, "cli/commands") })
      .map((path) => basename(path).split(".")[0]);
    const unknown: string[] = [];
    for (const page of pages) {
      const text = read(page);
      for (const [, name = ""] of text.matchAll(/\bnpm run (?:-s )?([a-z][\w:-]*)/g)) {
        if (!(name in scripts)) unknown.push(`${page}: npm run ${name}`);
      }
      const called = /\b(?:npm run (?:-s )?ocrlty (?:--|'--')|launch\.mjs ocrlty) ([a-z][\w-]*)/g;
      for (const [, name = ""] of text.matchAll(called)) {
        if (!commands.includes(name)) unknown.push(`${page}: ocrlty ${name}`);
      }
      for (const [, name = ""] of text.matchAll(/\bnpx ocrlty ([a-z][\w-]*)/g)) {
        if (!commands.includes(name) && !(name in scripts)) unknown.push(`${page}: npx ocrlty ${name}`);
      }
      for (const [, name = ""] of text.matchAll(/launch\.mjs ([a-z][\w:-]*)/g)) {
        if (!(name in scripts)) unknown.push(`${page}: launch.mjs ${name}`);
      }
    }
    expect(unknown).toEqual([]);
  });

  test("every variable that is named is one of ours, of the deployment's or of the model server's", () => {
    const sources = [
      ".env.example",
      ".github/workflows/deploy.yml",
      "docs/gpu/runpod-start.json",
      "sst.config.ts",
      ...fs.globSync("{infra,spec}/*.ts", { cwd: root }),
    ].map(read);
    // Variables of other programs: tools that the docs mention, the Python version, and our launcher.
    const others = [
      ...[
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AUTH_DB_PATH",
        "HF_TOKEN",
        "INIT_CWD",
      ],
      ...[
        "NODE_ENV",
        "NO_COLOR",
        "XDG_CONFIG_HOME",
        "DATA_ROOT",
        "SST_KEY",
        "RECEIVER_SECRET",
        "API_TOKEN",
        "OCRLTY_VLLM_HOME",
        "OWNER_ID",
        "REPO_ID",
      ],
    ];
    const known = new Set(
      [...sources.join("\n").matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)].map(([name]) => name),
    );
    const unknown = pages.flatMap((page) =>
      [...read(page).matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)]
        .map(([name]) => name)
        .filter((name) => !known.has(name) && !names.includes(name) && !others.includes(name))
        .map((name) => `${page}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe("the model server", () => {
  const start = z
    .object({ entrypoint: z.tuple([z.literal("bash"), z.literal("-lc")]), cmd: z.tuple([z.string()]) })
    .parse(JSON.parse(read("docs/gpu/runpod-start.json")));
  const script = start.cmd[0];
  const flagsOf = (text: string) => {
    const command = /vllm serve .+/.exec(text)?.[0];
    return command?.trim().split(/\s+/) ?? [];
  };

  test("RunPod's start command writes the proxy's configuration as in the file beside it", () => {
    expect(/<<'NGINX'\n([\s\S]*?)^NGINX$/m.exec(script)?.[1]).toBe(read("docs/gpu/nginx.conf"));
    // The quotes of the here-document keep the shell from expanding nginx's variables.
    expect(script).toMatch(/^set -e\n/);
  });

  test("RunPod's start command and the one in the docs start the same vLLM, which only the proxy reaches", () => {
    const onRunPod = flagsOf(script);
    expect(onRunPod).toEqual(flagsOf(read("docs/gpu.md")));
    const command = onRunPod.join(" ");
    expect(command).toContain("--host 127.0.0.1 --port 8001 --api-key");
    // Without these flags: endless white space in answers, a context that does not fit the card, a download of 17 GB at
    // every start.
    for (const needed of [
      "--structured-outputs-config.backend xgrammar",
      "--structured-outputs-config.disable_any_whitespace true",
      "--limit-mm-per-prompt.image 4",
      "--max-model-len",
      "--download-dir",
    ])
      expect(command).toContain(needed);
    expect(read("docs/gpu.md")).toContain("a volume at `/workspace`");
  });
});

describe("operating", () => {
  const source = read("infra/alarms.ts");
  const alarms = [
    ...[...source.matchAll(/"([A-Z]\w*Alarm)"/g)].map(([, name = ""]) => name),
    ...[...source.matchAll(/`\$\{pascal\(name\)\}(\w+Alarm)`/g)].flatMap(([, suffix = ""]) =>
      Object.keys(queues).map((queue) => `${pascal(queue)}${suffix}`),
    ),
  ];

  test("every alarm is in one heading of its own name, and no heading names one that is gone", () => {
    const named = headings(read("docs/operate/alarms.md")).flatMap(
      (title) => title.match(/[A-Z]\w*Alarm/g) ?? [],
    );
    expect(alarms.length).toBeGreaterThan(Object.keys(queues).length);
    expect(named.toSorted()).toEqual([...new Set(alarms)].toSorted());
  });

  test("an alarm's description names an existing heading with the alarm's name", () => {
    const wanted = [...source.matchAll(/(docs\/[\w/]+\.md), "\$\{name\}"/g)].map(([, page = ""]) => page);
    expect(wanted.length).toBeGreaterThan(0);
    expect(wanted).toHaveLength([...source.matchAll(/docs\/[\w/]+\.md/g)].length);
    for (const page of wanted) expect(headings(read(page)).join(" ")).toContain(alarms.at(-1));
  });

  test("docs/deploy.md sets every secret, and each has a section about its rotation", () => {
    for (const { secret } of Object.values(secrets)) {
      expect(deploy, secret).toContain(`sst secret set ${secret} `);
      expect(
        headings(operate).some((title) => title.split(" and ").includes(secret)),
        `rotation of ${secret}`,
      ).toBe(true);
    }
  });

  test("each cost table adds up, that of single calls and that of batches", () => {
    const rows = [...operate.matchAll(/^\| (.+?) \|.*\| \**([\d.]+)\** \| \**([\d.]+)\** \|$/gm)];
    const ends = rows.flatMap(([, name], i) => (name === "**together**" ? [i] : []));
    expect(ends).toHaveLength(2);
    expect(ends.at(-1)).toBe(rows.length - 1);
    ends.forEach((end, i) => {
      const table = rows.slice((ends[i - 1] ?? -1) + 1, end + 1);
      expect(table.length).toBeGreaterThan(5);
      for (const column of [2, 3]) {
        const parts = table.map((row) => Math.round(Number(row[column]) * 100));
        const together = parts.pop();
        expect(
          parts.reduce((sum, part) => sum + part, 0),
          `table ${i + 1}, column ${column}`,
        ).toBe(together);
      }
    });
  });

  test("every log event and every count of repairs that is named is written by the code", () => {
    const code = fs
      .globSync("{core,functions}/**/*.ts", { cwd: root })
      .filter((path) => !path.endsWith(".test.ts"))
      .map(read)
      .join("\n");
    const events = [...operate.matchAll(/\$\.event = "(\w+)"/g)].map(([, name = ""]) => name);
    expect(events).toContain("reconciled_runs");
    expect(events.filter((name) => !code.includes(`"${name}"`))).toEqual([]);
    const repairs = /interface Repairs \{([^}]+)\}/.exec(read("core/reconcile/runs.ts"))?.[1] ?? "";
    const counts = [...repairs.matchAll(/(\w+): number/g)].map(([, name = ""]) => name);
    expect(counts.length).toBeGreaterThan(3);
    expect(counts.filter((name) => !operate.includes(`\`${name}\``))).toEqual([]);
  });

  test("every option of `keys` in the docs exists for its verb", () => {
    const source = ["keys", "key-options"].map((name) => read(`cli/commands/checkout/${name}.ts`)).join("\n");
    const unknown: string[] = [];
    let seen = 0;
    for (const page of pages) {
      for (const [call] of read(page).matchAll(/\b(?:create|update|rotate|revoke|list)-key.*/g)) {
        for (const [option] of call.matchAll(/(?<= )--[a-z][a-z-]+/g)) {
          seen += 1;
          if (!source.includes(option)) unknown.push(`${page}: ${option}`);
        }
      }
    }
    expect(seen).toBeGreaterThan(10);
    expect(unknown).toEqual([]);
  });
});

describe("security", () => {
  test("every table of the database and every folder of the bucket is in the list of what is kept", () => {
    const security = read("docs/security.md");
    const tables = fs
      .globSync("core/**/*.sql.ts", { cwd: root })
      .flatMap((path) => [...read(path).matchAll(/sqliteTable\(\s*"(\w+)"/g)].map(([, name = ""]) => name));
    expect(tables.length).toBeGreaterThan(3);
    expect(tables.filter((name) => !security.includes(`\`${name}\``))).toEqual([]);
    const keys = /["`]((?:extracts|batches|backups|data|inputs)\/(?:[a-z]+\/)?)/g;
    const folders = fs
      .globSync("core/**/*.ts", { cwd: root })
      .filter((path) => !path.endsWith(".test.ts"))
      .flatMap((path) => [...read(path).matchAll(keys)].map(([, folder = ""]) => folder));
    expect(folders).toContain("inputs/runs/");
    for (const folder of [...folders, "evals/"]) expect(security).toContain(`\`${folder}`);
  });
});
