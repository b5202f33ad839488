import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Field } from "#core/canonical/normalize";
import { each, measured } from "#test/support/measured";
import type * as Wire from "../wire.ts";
import * as Report from "./report.ts";

const fields: Field[] = [
  { path: "shop", kind: "text" },
  { path: "total", kind: "money" },
  { path: "items[].name", kind: "text" },
];
const attack = `</script><script>alert(1)</script><img src=x onerror="alert('2')">&amp;`;

test("values, names and fields are shown as text, whatever they contain; invisible characters are shown by their numbers", async () => {
  const { evaluation, samples } = measured(fields, [
    {
      file: `${attack}.png`,
      labels: { shop: attack, total: "1.00", items: [{ name: "a" }] },
      result: { shop: "x\u202egnp\u0000\ud800", total: "1,00", items: [{ name: attack }] },
    },
  ]);
  const html = await Report.of(
    {
      ...evaluation,
      ...{ run_id: attack, gt_name: attack, gt_image_key: attack },
      slices: evaluation.slices.map((slice) => ({ ...slice, dimension: attack, value: attack })),
      unmatched: {
        items: { count: 1, first: [{ index: 0, file: attack, reason: "no_record" }] },
        records: { count: 1, first: [{ index: 0, image: attack, reason: "no_item" }] },
        documents: { count: 1, first: [{ index: 0, file: attack, document: 2 }] },
        unknown_fields: [attack],
      },
    },
    each(samples),
  );
  expect(html).not.toContain("<img");
  expect(html).not.toContain("alert('2')");
  expect(html.match(/<script/g)).toHaveLength(1);
  expect(html.split("&lt;/script&gt;&lt;script&gt;alert(1)").length).toBeGreaterThan(10);
  expect(html).toContain("x⟨U+202E⟩gnp⟨U+0000⟩\ufffd");
  // Right by its meaning, but printed in another form.
  expect(html).toContain("matched, printed otherwise");
});

test("the cost is shown with the accuracy in one line; dollars are an estimate", async () => {
  const paper = { file: "a.png", labels: { total: "1.00" }, result: { total: "2.00" } };
  const { evaluation, samples } = measured(fields, [paper, { ...paper, result: { total: "1.00" } }]);
  const html = await Report.of(evaluation, each(samples));
  // 120,000 and 9,000 tokens; 0.04125 dollars for 41.25 s are 3.60 an hour (test/support/measured.ts).
  expect(html).toContain(
    "<p>50.0 % of the values right for 41.25 s of the model, 129\u202f000 tokens, 0.04125 $: <strong>800 right documents per dollar</strong>, as an estimate; p50 620 ms, p95 1\u202f410 ms.</p>",
  );
  const free = { ...evaluation.cost, cost_usd: null, right_documents_per_usd: null } as Wire.Cost;
  const without = await Report.of({ ...evaluation, cost: free }, each(samples));
  expect(without).toContain("129\u202f000 tokens; p50");
  expect(without).not.toContain("estimate");
});

test("right documents are counted among the judged ones, and a field that is only labeled as unreadable has its row", async () => {
  const unreadable = { file: "b.png", labels: { total: "?" }, result: { total: "2.00" } };
  const right = { file: "a.png", labels: { shop: "A" }, result: { shop: "A" } };
  const { evaluation, samples } = measured(fields, [right, unreadable]);
  const html = await Report.of(evaluation, each(samples));
  expect(html).toContain("1 of 1 with every labeled value right");
  expect(html).toContain(
    "2 labeled documents, 2 with an answer. 1 without a value that is scored; the others (1) are judged.",
  );
  expect(html).toMatch(/<code>total<\/code>.*<td[^>]*>0, 1<\/td>/s);
});

test("a value labeled as unreadable is shown and is no mistake, and a count of one has a singular noun", async () => {
  const paper = { file: "a.png", labels: { shop: "A", total: "?" }, result: { shop: "B", total: "2.00" } };
  const only = { file: "b.png", labels: { shop: "A", total: "?" }, result: { shop: "A", total: "2.00" } };
  const { evaluation, samples } = measured(fields, [paper, only]);
  const html = await Report.of(evaluation, each(samples));
  expect(html).toContain("1 receipt with an answer has a value that is not right");
  expect(html).toContain("1 of 1 scored value is not right (0.0 % right)");
  expect(html).toMatch(/data-outcome="unreadable_invented".*<span class="none">unreadable invented<\/span>/);
  expect(html.match(/class="bad"/g)).toHaveLength(1);
});

test("rows of the answer are distinguished from rows of the paper, and all accepted values are shown", async () => {
  const paper = {
    file: "a.png",
    labels: { total: { any: ["0", null] }, items: [{ name: "Tea" }, { name: "Milk" }] },
    result: { total: "5", items: [{ name: "Tea" }, { name: "Zebra" }] },
  };
  const { evaluation, samples } = measured(fields, [paper]);
  const html = await Report.of(evaluation, each(samples));
  expect(html).toMatch(/<code>items\[1\]\.name<\/code>.*<code>items\[\+1\]\.name<\/code>/s);
  expect(html).toContain("[+n]: in a row of the answer that the paper does not have.");
  expect(html).toContain(
    '<bdi class="value">0</bdi> <span class="none">or</span> <span class="none">no value</span>',
  );
});

test("an uncorrected draft and ambiguous labels are mentioned", async () => {
  const paper = { file: "a.png", labels: { total: "35.000" }, result: { total: "35.000" } };
  const { evaluation, samples } = measured(fields, [paper]);
  const of = (gt_from_run_id: string | null) => Report.of({ ...evaluation, gt_from_run_id }, each(samples));
  expect(await of(null)).not.toContain("Not corrected");
  expect(await of("night")).toContain("a draft of this run itself, which is right by them whatever it read");
  expect(await of("day<b>")).toContain(
    "<code>day&lt;b&gt;</code>: the figures say how far the two runs agree",
  );
  expect(await of(null)).toMatch(
    /1 labeled value can be read in several ways, and is compared as printed.*a\.png.*35\.000/s,
  );
});

test("it has no address of another host, and its policy allows only its own script", async () => {
  const { evaluation, samples } = measured(fields, [
    { file: "a.png", labels: { total: "1.00" }, result: { total: "2.00" } },
  ]);
  const html = await Report.of(evaluation, each(samples));
  expect(html).not.toMatch(/https?:|\/\/[a-z]|@import|url\(|<link|<base|<iframe|\son\w+=/i);
  for (const [, target] of html.matchAll(/\s(?:href|src)="([^"]*)"/g)) expect(target).toMatch(/^#[\w-]+$/);
  const script = /<script>([\s\S]*?)<\/script>/.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(script).digest("base64");
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]?.replaceAll("&#39;", "'");
  expect(policy).toBe(
    `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`,
  );
  // Every link leads to its section.
  for (const [, id] of html.matchAll(/href="#([\w-]+)"/g)) expect(html).toContain(`id="${id}"`);
});

test("the worst fifty of many are shown, worst first; receipts without an answer are listed separately", async () => {
  // Of receipt i, i of 100 rows are wrong.
  const verdict = (row: number, wrong: boolean): Wire.Sample["verdicts"][number] => ({
    ...{ field: "items[].name", path: `items[${row}].name`, expected: "a", predicted: wrong ? "b" : "a" },
    ...{ exact: wrong ? "wrong" : "matched", canonical: wrong ? "wrong" : "matched" },
  });
  const sample = (index: number): Wire.Sample => ({
    ...{ index, document: 1, file: `f-${index}.png`, custom_id: null, request_id: `r~${index}` },
    ...{ answered: index !== 99, right: index === 0, right_exact: index === 0 },
    verdicts: Array.from({ length: 100 }, (_, row) => verdict(row, row < index)),
  });
  const { evaluation } = measured(fields, [{ file: "a", labels: { total: "1" }, result: { total: "1" } }]);
  const shuffled = Array.from({ length: 100 }, (_, i) => sample((i * 37) % 100));
  const html = await Report.of(evaluation, each(shuffled));
  const names = [...html.matchAll(/<article.*?<bdi>(.*?)<\/bdi>/g)].map(([, name]) => name);
  // 99 has no answer: 98 is the worst, and 49 the fiftieth.
  expect(names).toEqual(Array.from({ length: 50 }, (_, i) => `f-${98 - i}.png`));
  expect(html).toContain("98 receipts with an answer have a value that is not right");
  expect(html).toMatch(/Without an answer<\/h3>.*f-99\.png/s);
  expect(html).toContain("98 of 100 scored values are not right (2.0 % right)");
});

test("it has at most 5 MB, however large values and pictures are; pictures that do not fit are left out", async () => {
  const long = "<".repeat(50_000);
  const papers = Array.from({ length: 60 }, (_, i) => ({
    file: `${i}.png`,
    labels: { shop: long, total: "1", items: Array.from({ length: 20 }, () => ({ name: long })) },
    result: { shop: "b", total: "1", items: [] },
  }));
  const { evaluation: few, samples } = measured(fields, papers);
  // More slices than any evaluation has, so that there is no room for all pictures.
  const slices = Array.from({ length: 4_000 }, (_, i) => ({
    ...(few.slices[0] as (typeof few.slices)[number]),
    ...{ dimension: `tags.${i % 200}`, value: long },
  }));
  const evaluation = { ...few, slices };
  const picture = new Uint8Array(61_440).fill(1);
  picture.set([0xff, 0xd8]);
  const asked: number[][] = [];
  const of = async (jpeg: Uint8Array) =>
    Report.of(evaluation, each(samples), {
      of: async (indexes) => {
        asked.push([...indexes]);
        return indexes.map(() => ({ jpeg }));
      },
    });
  const html = await of(picture);
  expect(Buffer.byteLength(html)).toBeLessThanOrEqual(Report.maxBytes);
  expect(asked.map((indexes) => new Set(indexes).size)).toEqual([50]);
  const there = html.match(/<img /g)?.length ?? 0;
  expect(there).toBeGreaterThan(10);
  expect(there).toBeLessThan(50);
  expect(html).toContain(`${50 - there} of these have no picture.`);
  expect(html.split("No picture: the report is full.")).toHaveLength(50 - there + 1);
  // A file that is not a JPEG, or is too large, counts as no picture.
  for (const bad of [new Uint8Array(10), new Uint8Array(61_441).fill(0xff, 0, 1).fill(0xd8, 1, 2)])
    expect(await of(bad)).not.toContain("<img ");
});

test("ten thousand documents with long texts make the report no larger", async () => {
  const { evaluation } = measured(fields, [{ file: "a", labels: { total: "1" }, result: { total: "1" } }]);
  const long = "\u202e<b>".repeat(500);
  const verdict: Wire.Sample["verdicts"][number] = {
    ...{ field: "shop", path: "shop", expected: long, predicted: long },
    ...{ exact: "wrong", canonical: "wrong" },
  };
  const of = async (documents: number) => {
    function* samples(): Generator<Wire.Sample> {
      for (let index = 0; index < documents; index += 1)
        yield {
          ...{ index, document: 1, file: long, custom_id: null, request_id: `r~${index}` },
          ...{ answered: index % 2 === 0, right: false, right_exact: false, verdicts: [verdict] },
        };
    }
    return Buffer.byteLength(await Report.of(evaluation, each(samples())));
  };
  const [few, many] = [await of(200), await of(10_000)];
  expect(many - few).toBeLessThan(1_000);
  expect(many).toBeLessThan(300_000);
});

test("a missing picture is replaced by the reason, as text", async () => {
  const { evaluation, samples } = measured(fields, [
    { file: "a.png", labels: { total: "1.00" }, result: { total: "2.00" } },
  ]);
  const of = async () => [{ missing: `damaged ${attack}` }];
  const html = await Report.of(evaluation, each(samples), { of });
  expect(html).toContain("No picture: damaged &lt;/script&gt;&lt;script&gt;alert(1)");
  expect(html).toContain("1 of these has no picture.");
  expect(html).not.toContain("<img");
  expect(await Report.of(evaluation, each(samples), "not_kept")).toContain("did not keep its inputs");
});
