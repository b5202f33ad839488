/**
 * `npm run bench -- extract-look --against DIR`: CPU time of all processes of the loop for a warm extract of a JPEG, with
 * the look and without it, against another checkout (with its packages) that has no look, in turns; and how much of the
 * bundles both load until their first answer. Ends with 1 when a bar of docs/documents.md is missed.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { packageRoot } from "#local/home/home";
import * as ModelServer from "#test/support/model-server/model-server";
import { withJpegSegment } from "#test/support/picture-parts";
import * as Builds from "./support/builds.ts";
import * as Figures from "./support/figures.ts";

const answer = { total: "12.00", subtotal: "10.00", tax: "2.00" };
const result = { ...answer, service: null, discount: null, cash: null, card: null, change: null };
const warmUpCalls = 25;

interface Subject {
  name: string;
  build: Builds.Build;
  more: Record<string, unknown>;
}

interface Picture {
  name: string;
  bytes: Buffer;
  /** Most CPU of a call with the look, as a multiple of the build without one. */
  bar: number;
}

const withoutLookBar = 1.02;
/** JPEG's marker of a comment. */
const comment = 0xfe;

/** Measures and prints. Exit status 0; 1 for a missed bar; 2 for wrong arguments. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      against: { type: "string" },
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "7" },
      calls: { type: "string", default: "12" },
    },
  });
  const [rounds, calls] = [Number(values.rounds), Number(values.calls)];
  if (values.against === undefined || !(rounds >= 1) || !(calls >= 1)) {
    process.stderr.write("--against is the folder of a checkout with its packages\n");
    return 2;
  }
  const model = await ModelServer.start({ model: "scripted", respond: () => ModelServer.json(result) });
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", VLLM_API_KEY: "none" };
  const builds: Builds.Build[] = [];
  try {
    const before = await Builds.start("before", values.against, env);
    builds.push(before);
    const now = await Builds.start("now", packageRoot, env);
    builds.push(now);
    const subjects = [
      { name: "before", build: before, more: {} },
      { name: "look: false", build: now, more: { look: false } },
      { name: "look", build: now, more: {} },
    ];
    const all = await pictures();
    const first = (subject: number, dir: string) =>
      Builds.bytesLoaded(dir, () => call(subjects[subject] as Subject, (all[0] as Picture).bytes));
    const loaded = { before: await first(0, values.against), now: await first(2, packageRoot) };
    const rows = [];
    for (const picture of all) rows.push(...(await measured(picture, subjects, { rounds, calls })));
    process.stdout.write(
      values.json ? `${JSON.stringify({ rounds, calls, loaded, rows })}\n` : text(rows, loaded),
    );
    const isLight = (loaded.now ?? 0) <= (loaded.before ?? Number.POSITIVE_INFINITY);
    return isLight && rows.every(({ ratio, bar }) => bar === undefined || ratio <= bar) ? 0 : 1;
  } finally {
    for (const build of builds) await build.close();
    await model.close();
  }
}

/** A sample, and the same as a phone takes it: 12 megapixels with the noise of a sensor. */
async function pictures(): Promise<Picture[]> {
  const sample = readFileSync(join(packageRoot, "samples", "lidl.jpg"));
  const [width, height] = [3024, 4032];
  const noise = { type: "gaussian", mean: 128, sigma: 85 } as const;
  const grain = await sharp({ create: { width, height, channels: 3, background: "#808080", noise } })
    .png({ compressionLevel: 1 })
    .toBuffer();
  const large = await sharp(sample)
    .resize(width, height, { fit: "fill" })
    .composite([{ input: grain, blend: "soft-light" }])
    .jpeg({ quality: 85 })
    .toBuffer();
  const of = (bytes: Buffer, bar: number) => ({
    name: `${Figures.round(bytes.length / 1e6, 2)} MB`,
    bytes,
    bar,
  });
  return [of(sample, 1.5), of(large, 1.25)];
}

interface Row {
  picture: string;
  build: string;
  cpu_ms: number;
  ratio: number;
  bar: number | undefined;
}

/** Rounds of calls one after the other, the builds in turns; medians of the rounds. */
async function measured(
  { name, bytes, bar }: Picture,
  subjects: readonly Subject[],
  { rounds, calls }: { rounds: number; calls: number },
): Promise<Row[]> {
  const times = new Map(subjects.map((subject) => [subject.name, [] as number[]]));
  for (const subject of subjects) for (let n = 0; n < warmUpCalls; n += 1) await call(subject, bytes);
  for (let round = 0; round < rounds; round += 1)
    for (const subject of subjects) {
      const start = Builds.cpuMs(subject.build.pid);
      for (let n = 0; n < calls; n += 1) await call(subject, bytes);
      times.get(subject.name)?.push((Builds.cpuMs(subject.build.pid) - start) / calls);
    }
  const of = (subject: string) => Figures.median(times.get(subject) ?? []);
  return subjects.map((subject) => ({
    picture: name,
    build: subject.name,
    cpu_ms: Figures.round(of(subject.name), 1),
    ratio: Figures.round(of(subject.name) / of("before"), 3),
    bar: subject.name === "look" ? bar : subject.name === "before" ? undefined : withoutLookBar,
  }));
}

async function call({ build, more }: Subject, bytes: Buffer): Promise<void> {
  const id = randomUUID();
  // Another file each time: nothing that is known of the one before may help.
  const image = withJpegSegment(bytes, comment, id).toString("base64");
  const body = JSON.stringify({ request_id: id, task_id: "receipt_fields_v1", image_base64: image, ...more });
  const response = await fetch(`${build.url}/v1/extract`, {
    method: "POST",
    headers: { authorization: `Bearer ${build.apiKey}`, "content-type": "application/json" },
    body,
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${build.name}: ${response.status} ${text.slice(0, 500)}`);
}

function text(rows: readonly Row[], { before, now }: Record<"before" | "now", number | undefined>): string {
  const head = ["picture", "build", "CPU ms a call", "ratio", "bar"];
  const lines = rows.map(({ picture, build, cpu_ms, ratio, bar }) => [
    ...[picture, build, cpu_ms, ratio],
    bar ?? "",
  ]);
  const kilobytes = (bytes: number | undefined) => (bytes === undefined ? "?" : Math.round(bytes / 1024));
  return `${Figures.table(head, lines)}\n\nloaded until the first answer: ${kilobytes(now)} KB, before ${kilobytes(before)} KB\n`;
}
