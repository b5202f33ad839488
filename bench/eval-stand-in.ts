import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as PrintedDate from "#core/canonical/dates/printed-date";
import * as Currency from "#core/canonical/money/currency";
import * as Money from "#core/canonical/money/money";
import * as Document from "#core/document/document";
import * as Budget from "#core/image/budget";
import { MAX_MODEL_LEN } from "#local/model/protocol";
import { start } from "#local/model/server";
import { drawAll } from "./abroad/draw.ts";

/**
 * Scores the stand-in model server over a folder of labeled pictures (docs/stand-in.md): each picture goes through the
 * OpenAI protocol with a receipt schema, and the answer is compared with `norm` of gt.json. Exit status: 0 goals met, 1
 * missed, 2 no data.
 */

interface Record_ {
  file: string;
  source_key: string;
  label_note?: string;
  norm: {
    currency: string;
    total: number;
    date?: string;
    subtotal?: number | null;
    tax?: number | null;
    service?: number | null;
    items?: number;
  };
}

interface Answer {
  total: string | null;
  subtotal: string | null;
  tax: string | null;
  service: string | null;
  date: string | null;
  currency: string | null;
  items: { name: string | null; price: string | null }[];
}

type Field = "total" | "date" | "subtotal" | "tax" | "service" | "items" | "currency";
const fields: Field[] = ["total", "date", "subtotal", "tax", "service", "items", "currency"];
interface Score {
  right: number;
  of: number;
}

const GOALS: Partial<Record<Field, number>> = { total: 0.9, date: 0.85 };
/** Cash is rounded to five cents where coins end there; the printed total may be either. */
const ROUNDING_TOLERANCE = 0.04;
/** These sources label the parts of the total and the items. */
const LABELS_PARTS = new Set(["cord"]);
/** Made up here, so every field is known. */
const MADE_UP = new Set(["first_set", "second_set"]);
const MAX_OUTPUT_TOKENS = 2048;
const { imageTokens: maxImageTokens } = Budget.share({
  maxModelLen: MAX_MODEL_LEN,
  promptTokens: 0,
  maxOutputTokens: MAX_OUTPUT_TOKENS,
});

const text = { type: ["string", "null"] };
const object = (properties: Record<string, unknown>) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const schema = object({
  total: text,
  subtotal: text,
  tax: text,
  service: text,
  date: text,
  currency: text,
  items: { type: "array", items: object({ name: text, price: text }) },
});

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    data: { type: "string" },
    abroad: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (options.help) {
  console.log(
    "npm run eval:stand-in -- [--data DIR | --abroad] [--json] [--verbose]\nDIR holds pictures and gt.json; --abroad draws made-up receipts of twenty countries and scores those.",
  );
  process.exit(0);
}

const drawn = options.abroad ? await drawAll() : undefined;
const data = resolve(
  drawn ?? options.data ?? fileURLToPath(new URL("../../shared/data/dev", import.meta.url)),
);
if (!existsSync(join(data, "gt.json"))) {
  console.error(`There is no gt.json in ${data}: nothing to score.`);
  process.exit(2);
}

async function ask(url: string, file: string): Promise<Answer> {
  // Scaled to the context as the product does it before it calls a model server.
  const { bytes, mimeType } = await Document.prepare(
    (await Document.open(await readFile(join(data, file)))).first,
    {
      maxImageTokens,
    },
  );
  const picture = `data:${mimeType};base64,${Buffer.from(bytes).toString("base64")}`;
  const response = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "local-ocr",
      max_completion_tokens: MAX_OUTPUT_TOKENS,
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: picture } }] }],
      response_format: { type: "json_schema", json_schema: { name: "receipt", schema, strict: true } },
    }),
  });
  if (!response.ok) throw new Error(`${file}: HTTP ${response.status} ${await response.text()}`);
  const body = (await response.json()) as { choices: { message: { content: string } }[] };
  return JSON.parse(body.choices[0]?.message.content ?? "{}") as Answer;
}

/** Which fields of the record are labeled, and whether the answer has them right. */
function judge({ norm, source_key, label_note }: Record_, answer: Answer): Partial<Record<Field, boolean>> {
  const amount = (printed: string | null) => {
    const money = printed === null ? null : Money.parse(printed, { currency: norm.currency });
    return money && Number(money.value);
  };
  const total = amount(answer.total);
  const same = (printed: string | null, wanted: number | null | undefined) =>
    amount(printed) === (wanted ?? null);
  const date =
    answer.date === null ? null : PrintedDate.parse(answer.date, { currency: norm.currency })?.value;
  return {
    total: total !== null && Math.abs(total - norm.total) <= ROUNDING_TOLERANCE + 1e-9,
    ...(norm.date && !label_note?.includes("do not score the date") ? { date: date === norm.date } : {}),
    ...(MADE_UP.has(source_key)
      ? {
          items: answer.items.length === norm.items,
          currency: Currency.parse(answer.currency ?? "")?.value === norm.currency,
        }
      : {}),
    ...(LABELS_PARTS.has(source_key)
      ? {
          subtotal: same(answer.subtotal, norm.subtotal),
          tax: same(answer.tax, norm.tax),
          service: same(answer.service, norm.service),
          // CORD does not count discounts between the items as items.
          items: answer.items.filter((item) => (amount(item.price) ?? 0) >= 0).length === norm.items,
        }
      : {}),
  };
}

const records = JSON.parse(await readFile(join(data, "gt.json"), "utf8")) as Record_[];
const table = new Map<string, Record<Field, Score>>();
const empty = () =>
  Object.fromEntries(fields.map((field) => [field, { right: 0, of: 0 }])) as Record<Field, Score>;
const all = empty();
const seconds: number[] = [];
const misses: { file: string; field: Field; got: unknown; wanted: unknown }[] = [];

const server = await start({});
let maxRssMb = 0;
try {
  // The first picture also starts the engine, so it is sent again for the warm time.
  const coldAt = performance.now();
  if (records[0]) await ask(server.url, records[0].file);
  const coldSeconds = (performance.now() - coldAt) / 1000;
  for (const record of records) {
    const startedAt = performance.now();
    const answer = await ask(server.url, record.file);
    seconds.push((performance.now() - startedAt) / 1000);
    const source = table.get(record.source_key) ?? empty();
    table.set(record.source_key, source);
    for (const [field, right] of Object.entries(judge(record, answer)) as [Field, boolean][]) {
      for (const score of [source[field], all[field]]) {
        score.of += 1;
        if (right) score.right += 1;
      }
      if (!right) {
        const got = field === "items" ? answer.items.length : answer[field];
        misses.push({ file: record.file, field, got, wanted: record.norm[field] ?? null });
      }
    }
    if (options.verbose)
      console.error(`${record.file} ${seconds.at(-1)?.toFixed(1)} s ${JSON.stringify(answer)}`);
  }
  maxRssMb = Math.round(server.ocr().maxRssBytes / 1e6);
  report(coldSeconds);
} finally {
  await server.close();
  if (drawn !== undefined) await rm(drawn, { recursive: true, force: true });
}

function report(coldSeconds: number): void {
  const missed = Object.entries(GOALS).filter(([field, goal]) => {
    const { right, of } = all[field as Field];
    return of > 0 && right / of < goal;
  });
  process.exitCode = missed.length > 0 ? 1 : 0;
  const sorted = [...seconds].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const slowest = sorted.at(-1) ?? 0;
  if (options.json) {
    const timing = { cold: coldSeconds, median, slowest };
    const result = {
      pictures: records.length,
      all,
      sources: Object.fromEntries(table),
      seconds: timing,
      maxRssMb,
      misses,
    };
    console.log(JSON.stringify(result, null, 2));
    return;
  }
  const cell = ({ right, of }: Score) => (of === 0 ? "-" : `${right}/${of}`);
  console.log(`| source | ${fields.join(" | ")} |\n|---|${fields.map(() => "---|").join("")}`);
  for (const [source, scores] of [...table, ["all", all] as const]) {
    console.log(`| ${source} | ${fields.map((field) => cell(scores[field])).join(" | ")} |`);
  }
  const nulls = misses.filter(({ field, got }) => field === "total" && got === null).length;
  console.log(`\n${nulls} of ${records.length} totals are null`);
  console.log(
    `\n${records.length} pictures; seconds a picture: ${median.toFixed(1)} median, ${slowest.toFixed(1)} slowest, ` +
      `${coldSeconds.toFixed(1)} for the first with the engine's start; OCR process: ${maxRssMb} MB at most`,
  );
  for (const { file, field, got, wanted } of misses) {
    console.log(`- ${file} ${field}: ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
  }
  for (const [field, goal] of missed) console.error(`The goal for ${field} is ${goal * 100} %: missed.`);
}
