import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import * as Continued from "#core/reading/long-list/continued";
import { start } from "#local/model/server";
import { longPaper } from "#test/support/long-paper";

/** Paper that is a dozen times as long as wide, as one picture, and a list that is asked for in several calls. */

const rows = 120;
const names = ["MILK", "BREAD", "BUTTER", "CHEESE", "APPLES", "COFFEE", "SUGAR", "FLOUR", "RICE", "PASTA"];
const priceOf = (row: number) => `${1 + ((row * 7) % 9)}.${10 + ((row * 13) % 90)}`;
const prices = Array.from({ length: rows }, (_, row) => priceOf(row));
const total = (prices.reduce((sum, price) => sum + Math.round(Number(price) * 100), 0) / 100).toFixed(2);

const optional = { type: ["string", "null"] };
const item = { type: "object", properties: { name: optional, price: optional } };
const schema = { type: "object", properties: { items: { type: "array", items: item }, total: optional } };

let server: Awaited<ReturnType<typeof start>>;
let client: OpenAI;
let url: string;
beforeAll(async () => {
  const lines = prices.map((right, row) => ({ left: names[row % names.length] ?? "", right }));
  const bytes = await longPaper([{ left: "CORNER MARKET" }, ...lines, { left: "TOTAL", right: total }]);
  url = `data:image/png;base64,${bytes.toString("base64")}`;
  server = await start({});
  client = new OpenAI({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
});
afterAll(() => server?.close());

async function asked(texts: string[] = [], signal?: AbortSignal) {
  const startedAt = performance.now();
  const answer = await client.chat.completions.create(
    {
      model: "local-ocr",
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url } },
            ...["Read it.", ...texts].map((text) => ({ type: "text" as const, text })),
          ],
        },
      ],
      response_format: { type: "json_schema", json_schema: { name: "paper", schema } },
    },
    { signal },
  );
  const read = JSON.parse(answer.choices[0]?.message.content ?? "") as {
    items: { name: string; price: string }[];
    total: string;
  };
  return { ...read, ms: performance.now() - startedAt };
}

it("reads every row of it once, in attempts that are cut off, and goes on behind the rows that the question says are read, without reading anew", async () => {
  // As callers do whose time is over; an attempt goes on behind the lines that the one before read.
  let whole: Awaited<ReturnType<typeof asked>> | undefined;
  let attempts = 0;
  for (let ms = 1_500; whole === undefined && ms < 100_000; ms *= 2) {
    whole = await asked([], AbortSignal.timeout(ms)).catch(() => undefined);
    attempts += 1;
  }
  expect(attempts).toBeGreaterThan(1);
  if (whole === undefined) throw new Error("nothing was read");
  expect(whole.items.map(({ price }) => price)).toEqual(prices);
  expect(whole.total).toBe(total);
  const begun = { value: { items: whole.items }, list: ["items"], rows: whole.items.slice(0, 70) };
  const rest = await asked([Continued.request(begun, 68)]);
  expect(rest.items).toEqual(whole.items.slice(68));
  expect(rest.total).toBe(total);
  expect(rest.ms).toBeLessThan(2_000);
}, 300_000);
