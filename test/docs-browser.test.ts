/** The pages of `/docs` in a real browser. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Guides from "#functions/docs-page/guides";
import { start } from "#local/loop";
import * as Functions from "#spec/functions";
import * as Routes from "#spec/routes";
import * as Chromium from "#test/support/chromium";

vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 });
if (Chromium.program === undefined)
  console.warn("the pages are not looked at in a browser: there is no chromium in the PATH");

describe.skipIf(Chromium.program === undefined)("in a browser", () => {
  let browser: Chromium.Browser;
  let loop: Awaited<ReturnType<typeof start>>;
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "ocrlty-docs-"));
    // The functions that serve the pages, without the services behind them.
    const { docs, system, catalog, fallback } = Functions.functions;
    const functions = { docs, system, catalog, fallback };
    const routes = Routes.deployed.filter(({ function: name }) => name in functions);
    const table = { routes, defaultFunction: Routes.defaultFunction };
    loop = await start({ home, port: 0, app: { functions, table }, log: () => undefined });
    browser = await Chromium.start();
  });
  afterAll(async () => {
    await browser?.close();
    await loop?.close(0);
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });

  /** Requests to other hosts; `data:` and `blob:` stay on the machine. */
  const elsewhere = (requests: readonly string[]) =>
    requests.filter((url) => !url.startsWith(`${loop.url}/`) && !/^(data|blob|about):/.test(url));

  test("the reference makes requests only to its own host, also while a call is tried out with a key", async () => {
    const page = await browser.page();
    await page.goto(`${loop.url}/docs#tag/account/GET/v1/me`);
    await page.until("/Who is calling/.test(document.body.innerText)");
    // The key goes into the field beside the introduction, where a reader would put it.
    await page.until(`document.querySelector('input[placeholder="Token"]') !== null`);
    await page.type('input[placeholder="Token"]', String(loop.apiKey));
    const press = (text: RegExp) =>
      page.until(`(() => {
        const buttons = [...document.querySelectorAll("button")].filter((one) => one.offsetParent !== null);
        const wanted = buttons.find((one) => ${text}.test(one.innerText));
        wanted?.click();
        return wanted !== undefined;
      })()`);
    await press(/^Test Request\s+\(get \/v1\/me\)$/);
    await press(/^Send\s+Send get request/);
    await page.until("/local-admin/.test(document.body.innerText)");
    expect(page.requests).toContain(`${loop.url}/v1/me`);
    expect(elsewhere(page.requests)).toEqual([]);
    expect(page.problems).toEqual([]);
    expect(await page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")).not.toContain(
      String(loop.apiKey),
    );
  });

  test("on a phone nothing is wider than the screen, and no page makes requests to other hosts", async () => {
    const page = await browser.page({ width: 390, height: 844, dark: true });
    for (const path of [
      ...Guides.names.filter((name) => name !== Guides.reference).map((name) => `/docs/${name}`),
      "/docs",
    ]) {
      await page.goto(loop.url + path);
      if (path === "/docs") await page.until("/Photos of receipts/.test(document.body.innerText)");
      expect(await page.evaluate("document.documentElement.scrollWidth"), path).toBe(390);
      // Tables neither hide columns nor break the names in them.
      expect(await page.evaluate(hidden), path).toEqual([]);
    }
    expect(elsewhere(page.requests)).toEqual([]);
    expect(page.problems).toEqual([]);
  });

  /** Texts in tables that a reader would have to scroll to. */
  const hidden = `[...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => one.innerText.slice(0, 40))`;

  test("the chosen language of samples is kept on every page", async () => {
    const page = await browser.page();
    await page.goto(`${loop.url}/docs/quickstart`);
    const shown = `[...document.querySelectorAll(".tabs pre")].filter((one) => one.offsetParent !== null).map((one) => one.innerText)`;
    expect(await page.evaluate(`${shown}[0]`)).toMatch(/^export /);
    await page.evaluate(`document.querySelector("label[for=tab-1-2]").click()`);
    expect(await page.evaluate(`${shown}[0]`)).toMatch(/^\$env:/);
    await page.goto(`${loop.url}/docs/batches`);
    expect(await page.evaluate(`${shown}[0]`)).toMatch(/^curl\.exe /);
    expect(page.problems).toEqual([]);
  });
});
