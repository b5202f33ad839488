import { expect, test } from "vitest";
import * as Document from "#core/document/document";
import * as Pdf from "#test/support/pdf";
import * as TestBucket from "#test/support/test-bucket";
import { TextLayers } from "./text-layer.ts";

test("words are kept up to a bound over all pages, and a cut is marked", async () => {
  const texts = [["Invoice 4711"], ["Total 12.50"]];
  const document = await Document.open(Pdf.pages(texts.map((text) => ({ content: Pdf.lines(text) }))));
  const layers = new TextLayers({ signal: new AbortController().signal, log: TestBucket.silent });
  for (const number of [2, 1]) layers.read(await Document.page(document, number));
  const all = await layers.record();
  expect(all?.pages.map(({ page, words }) => [page, words.length])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  expect(all?.cut).toBe(false);
  const first = all?.pages.slice(0, 1) ?? [];
  const most = first.flatMap(({ words }) => words).reduce((sum, word) => sum + word.length + 2 + 8, 0);
  expect(await layers.record(most)).toEqual({ pages: first, cut: true });
  expect(await layers.withoutFonts()).toEqual([]);
});

test("a layer that cannot be read in time is left out", async () => {
  const document = await Document.open(Pdf.pages([{ content: Pdf.lines(["Invoice 4711"]) }]));
  const layers = new TextLayers({ signal: AbortSignal.abort(), log: TestBucket.silent });
  layers.read(document.first);
  expect(await layers.record()).toBeUndefined();
});
