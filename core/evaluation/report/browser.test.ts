/** A report in a real browser, opened from a file. */
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Task from "#core/task/task";
import * as Chromium from "#test/support/chromium";
import { each, measured } from "#test/support/measured";
import * as Report from "./report.ts";
import * as Thumbnail from "./thumbnail.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
if (Chromium.program === undefined)
  console.warn("the report is not looked at in a browser: there is no chromium in the PATH");

const attack = `<img src="http://127.0.0.1:9/x" onerror="document.title='broken in'">`;
const paper = (i: number) => ({
  merchant: { name: i % 7 === 0 ? attack : `Corner Shop & Sons ${i % 5}` },
  date: "24.05.2031",
  items: [
    { name: "Tea, green, 100 g", price: "2,50" },
    { name: "Cake", price: "7,00" },
  ],
  totals: { total: "9,50", tax: "1,52" },
});

/** A narrow white slip with lines of print. */
const paperPicture = (index: number) => {
  const [width, height] = [400, 1_200];
  const pixels = Buffer.alloc(width * height, 250);
  for (let y = 60; y < height - 60; y += 36)
    pixels.fill(30, y * width + 40, y * width + 80 + ((y * (index + 3)) % 260));
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
};

describe.skipIf(Chromium.program === undefined)("a report that is opened from a file", () => {
  let browser: Chromium.Browser;
  let folder: string;
  let url: string;
  beforeAll(async () => {
    const papers = Array.from({ length: 60 }, (_, i) => ({
      file: `november/shop-${i % 4}/receipt-${i}.png`,
      labels: paper(i),
      result:
        i % 20 === 19
          ? null
          : {
              ...paper(i),
              date: i % 3 === 0 ? null : "2031-05-24",
              totals: { total: i % 4 === 0 ? "9,56" : "9.50", tax: "1,52" },
            },
    }));
    const { evaluation, samples } = measured(Task.get("receipt_v1")?.fields ?? [], papers);
    folder = await fs.mkdtemp(join(tmpdir(), "ocrlty-report-"));
    const file = join(folder, "report.html");
    // One picture of four is missing.
    const pictures = {
      of: async (indexes: readonly number[]) =>
        Promise.all(
          indexes.map(async (index) =>
            index % 4 === 3
              ? { missing: `it is damaged ${attack}` }
              : Thumbnail.of(await paperPicture(index), { until: Date.now() + 20_000 }),
          ),
        ),
    };
    await fs.writeFile(file, await Report.of(evaluation, each(samples), pictures));
    url = pathToFileURL(file).href;
    browser = await Chromium.start();
  });
  afterAll(async () => {
    await browser?.close();
    await fs.rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });

  const told = `document.getElementById("f-status").textContent`;
  const choose = (id: string, value: string) =>
    `(() => { const one = document.getElementById("${id}"); one.value = ${JSON.stringify(value)};
      one.dispatchEvent(new Event("input")); return ${told}; })()`;

  test("its filter finds values, works with the keyboard, makes no requests, and no value becomes code", async () => {
    const page = await browser.page();
    await page.goto(url);
    // By hand. Numbers from 0 to 59; 19, 39 and 59 have no answer. 20 can be divided by 3, of which 39 has no answer: 19 have
    // no date. 15 can be divided by 4: a wrong total. Five have both (0, 12, 24, 36, 48): 29 receipts.
    expect(await page.evaluate(told)).toBe("34 values in 29 of 29 receipts");
    expect(await page.evaluate(choose("f-field", "date"))).toBe("19 values in 19 of 29 receipts");
    expect(await page.evaluate(choose("f-outcome", "wrong"))).toBe("0 values in 0 of 29 receipts");
    expect(await page.evaluate(`document.getElementById("f-none").offsetParent !== null`)).toBe(true);
    await page.evaluate(choose("f-field", ""));
    expect(await page.evaluate(told)).toBe("15 values in 15 of 29 receipts");
    await page.evaluate(
      `document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }))`,
    );
    expect(await page.evaluate("document.activeElement.id")).toBe("f-text");
    await page.type("#f-text", "receipt-48.png");
    expect(await page.evaluate(told)).toBe("1 value in 1 of 29 receipts");
    await page.evaluate(
      `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }))`,
    );
    expect(await page.evaluate(told)).toBe("15 values in 15 of 29 receipts");
    expect(await page.evaluate("document.title")).toBe("night: how good it was");
    // Of the 29 receipts (0, 3, 4, …), 3, 15, 27 and 51 have no picture.
    const drawn = `[...document.images].map((one) => one.complete && one.naturalHeight)`;
    expect(await page.evaluate(drawn)).toEqual(Array.from({ length: 25 }, () => 600));
    expect(await page.evaluate(`document.querySelectorAll("article .nothing").length`)).toBe(4);
    // Thumbnails are addresses that hold their bytes.
    expect(page.requests.filter((each) => !each.startsWith("data:image/jpeg;base64,"))).toEqual([url]);
    expect(page.problems).toEqual([]);
  });

  test("is no wider than a phone, light and dark", async () => {
    for (const dark of [false, true]) {
      for (const width of [1280, 390]) {
        const page = await browser.page({ width, height: 844, dark });
        await page.goto(url);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
        // A field's name is not broken letter by letter to make room for the figures.
        const lines = `Math.max(...[...document.querySelectorAll("#fields th code")].map((one) => one.getClientRects().length))`;
        expect(await page.evaluate(lines)).toBeLessThanOrEqual(2);
        expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
          dark ? "rgb(20, 23, 26)" : "rgb(255, 255, 255)",
        );
      }
    }
  });
});
