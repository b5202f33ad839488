import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AppError } from "#core/error";
import { limits } from "./limits.ts";
import * as Read from "./read.ts";
import * as GroundTruthRecord from "./record.ts";

/** In pieces of `size` bytes, so that a text is cut at every place. */
function pieces(given: string | Uint8Array, size = 7): Uint8Array[] {
  const bytes = Buffer.from(given);
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

async function read(given: string | Uint8Array, size?: number, imageKey?: string) {
  const all: [string | undefined, unknown][] = [];
  for await (const { record } of Read.records(pieces(given, size), { imageKey }))
    all.push([record.image, GroundTruthRecord.writtenMembers(record.labels)]);
  return all;
}

async function refusal(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | string) {
  const given = typeof source === "string" ? pieces(source) : source;
  try {
    for await (const _ of Read.records(given));
  } catch (thrown) {
    const { code, message, details } = thrown as AppError;
    return `${code} ${details?.reason}: ${message}`;
  }
  return "read";
}

const two = [
  ["a.jpg", { total: "1", items: [{ name: 'x"}],[{\\' }] }],
  ["b.jpg", { total: null, items: [] }],
];
const [a, b] = two.map(([file, fields]) => ({ file, fields }));
const flat = [a, b].map((each) => ({ file: each?.file, ...(each?.fields as object) }));

describe("a ground truth", () => {
  test("gives the same records in every form, in any pieces, packed or not", async () => {
    const forms = [
      [a, b],
      flat,
      { items: [a, b] },
      { about: { file: "x.jpg" }, n: 2, items: flat, z: [1] },
      { "a.jpg": a?.fields, "b.jpg": { fields: b?.fields } },
      { "a.jpg": a, "b.jpg": b },
    ].flatMap((form) => [JSON.stringify(form), JSON.stringify(form, null, 2)]);
    const lines = [
      `${JSON.stringify(a)}\n${JSON.stringify(b)}\n`,
      `\ufeff ${JSON.stringify(flat[0])}\r\n\r\n${JSON.stringify(flat[1])}`,
    ];
    for (const text of [...forms, ...lines]) {
      for (const size of [1, 2, 3, 7, 64, 100_000]) expect(await read(text, size), text).toEqual(two);
      expect(await read(gzipSync(text))).toEqual(two);
    }
  });

  test("may be one record, and may name its pictures in another member", async () => {
    expect(await read(JSON.stringify(flat[0]))).toEqual([two[0]]);
    expect(await read('{"image":"a.jpg","items":[]}', 3, "image")).toEqual([["a.jpg", { items: [] }]]);
    expect(await read('{"total":"1"}\n{"file":"b.jpg","total":"2"}')).toEqual([
      [undefined, { total: "1" }],
      ["b.jpg", { total: "2" }],
    ]);
  });

  test("of records by their names must not name another picture inside a record", async () => {
    const long = { note: "x".repeat(limits.recordLength / 2), fields: { total: "9" } };
    // An object that is larger than any record is read in pieces.
    const by = (record: object) =>
      [record, { ...record, "y.jpg": long, "z.jpg": long }].map((each) => JSON.stringify(each));
    for (const text of by({
      "a.jpg": { file: "b.jpg", total: "1" },
      "c.jpg": { file: "x/d.pdf#2", total: "1" },
    }))
      expect(await refusal(pieces(text, 65_536))).toMatch(
        /^invalid_request gt_bad_records: .*records\.0: is under the name of one picture, and its `file` names another/,
      );
    const same = {
      ...{ "a.jpg": { file: null, total: "1" }, "in/b.jpg": { file: "b.jpg", total: "2" } },
      ...{ "c.jpg": { file: "in\\c.jpg", total: "3" }, "d.pdf": { file: "d.pdf#2", total: "4" } },
      ...{ "invoice-5": { file: "e.jpg", total: "5" }, "f.jpg": { total: "6" } },
    };
    const images = ["a.jpg", "in/b.jpg", "in\\c.jpg", "d.pdf#2", "e.jpg", "f.jpg"];
    for (const text of by(same)) {
      const found = (await read(text, 65_536)).map(([image]) => image);
      expect(found.slice(0, 6)).toEqual(images);
    }
    const parsed: unknown[] = [];
    for await (const { record } of Read.ofValue(same)) parsed.push(record.image);
    expect(parsed).toEqual(images);
  });

  test("keeps letters that are cut between two pieces", async () => {
    expect(await read('[{"file":"é𝟚.jpg","shop":"Café ☕"}]', 1)).toEqual([["é𝟚.jpg", { shop: "Café ☕" }]]);
  });

  test("of records by their names may be far larger than a record", async () => {
    const fields = {
      rows: Array.from({ length: 40 }, (_, i) => ({ name: "x".repeat(60), price: `${i}.00` })),
    };
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${i}.jpg`, fields]));
    for (const text of [
      JSON.stringify(many),
      JSON.stringify({ v: 1, items: Object.entries(many).map(([file, each]) => ({ file, ...each })) }),
    ]) {
      expect(text.length).toBeGreaterThan(limits.recordLength);
      const all = await read(text, 65_536);
      expect(all).toHaveLength(500);
      expect(all[499]).toEqual(["499.jpg", fields]);
    }
  });
});

test("any list is read as JSON.parse reads it, however it is spaced and cut into pieces", async () => {
  const record = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 });
  const spaces = fc.constantFrom(undefined, 1, "\t", "\n");
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 4 }),
      spaces,
      fc.integer({ min: 1, max: 40 }),
      async (given, space, size) => {
        const named = given.map((value, i) => ({ file: `${i}.jpg`, fields: {}, remark: value }));
        for (const form of [
          JSON.stringify(named, null, space),
          named.map((each) => JSON.stringify(each, null, space)).join("\n"),
        ]) {
          const read: unknown[] = [];
          for await (const { value } of Read.records(pieces(form, size))) read.push(value);
          expect(read).toEqual(JSON.parse(JSON.stringify(named)));
        }
      },
    ),
    { numRuns: 60 },
  );
});

describe("a ground truth that is wrong is refused with the reason and the place:", () => {
  test.each([
    ["", "invalid_request gt_empty: content: has no records"],
    ["[]", "invalid_request gt_empty: content: has no records"],
    ['{"items":[]}', "invalid_request gt_empty: content: has no records"],
    [
      "file,total\na.jpg,1",
      'invalid_request gt_not_json: content: is not a ground truth: JSON that begins with "[" or "{"',
    ],
    [
      '[\n{"a":1}\n{"b":1}]',
      "invalid_request gt_not_json: line 2: content: is not valid JSON: a comma is missing (line 2, column 8)",
    ],
    [
      '[{"a":1},]',
      "invalid_request gt_not_json: line 1: content: is not valid JSON: a value is missing (line 1, column 10)",
    ],
    [
      '[{"a":1}',
      "invalid_request gt_not_json: line 1: content: is not valid JSON: it breaks off (line 1, column 9)",
    ],
    [
      '[{"a":1}]]',
      "invalid_request gt_not_json: line 1: content: is not valid JSON: something follows after its end (line 1, column 10)",
    ],
    [
      '[{"a":"1\n"}]',
      "invalid_request gt_not_json: line 1: content: is not valid JSON: a line break in a string is written as \\n (line 1, column 9)",
    ],
    [
      '{"items":[{}],"items":[{}]}',
      "invalid_request gt_bad_records: line 1: records.0: has a name twice in one object (line 1, column 15)",
    ],
    [
      '{"a.jpg":{"t":"1"},"\\u0061.jpg":{}}',
      "invalid_request gt_bad_records: line 1: records.0: has a name twice in one object (line 1, column 20)",
    ],
    [
      '[{"file":"a","t":NaN}]',
      "invalid_request gt_bad_records: line 1: records.0: is not valid JSON at line 1, column 18: null, true and false are written so, and there is no NaN or undefined",
    ],
    [
      '[{"t":1},\n{"t":1e999},\n {"t":1,"t":2},7]',
      "invalid_request gt_bad_records: line 2: records.1.t: is a number that loses digits: write it as a text, as it is printed (and 2 more)",
    ],
    [
      '{"a.jpg":{"t":"1"},"b":7}',
      "invalid_request gt_bad_records: line 1: records.1: is not a record: a record is an object",
    ],
    [
      `[{"a":${"[".repeat(100_000)}`,
      "invalid_request gt_too_deep: line 1: content: is nested more than 32 deep (line 1, column 38)",
    ],
    [
      `${"[".repeat(100_000)}`,
      "invalid_request gt_too_deep: line 1: content: is nested more than 32 deep (line 1, column 34)",
    ],
    [
      `{"a":${'{"a":'.repeat(100)}`,
      "invalid_request gt_too_deep: line 1: content: is nested more than 32 deep (line 1, column 161)",
    ],
  ])("%j", async (text, said) => {
    expect(await refusal(text)).toBe(said);
  });

  test("what is not UTF-8, or UTF-16", async () => {
    expect(await refusal([Buffer.from('[{"file":"\xe9"}]', "latin1")])).toBe(
      "invalid_request gt_not_utf8: content: is not UTF-8: save it as UTF-8",
    );
    expect(await refusal([Buffer.from('[{"a":1}]', "utf16le")])).toMatch(
      /gt_not_utf8: content: has NUL bytes/,
    );
  });

  test("a record of more than a MiB, wherever it begins", async () => {
    const long = "x".repeat(limits.recordLength);
    const said = "invalid_request gt_record_too_large: line 1: content: a record has more than 1024 KiB";
    expect(await refusal([Buffer.from(`[{"a":"${long}"}]`)])).toBe(`${said} (line 1, column 2)`);
    expect(await refusal([Buffer.from(`{"a.jpg":{"a":"${long}"}}`)])).toBe(`${said} (line 1, column 10)`);
    expect(await refusal([Buffer.from(`{}\n{"a":"${long}"}`)])).toMatch("(line 2, column 1)");
  });

  test("more bytes, and more records, than there may be: as soon as they come", async () => {
    let given = 0;
    function* endless(piece: Buffer): Generator<Uint8Array> {
      for (; ; given += piece.length) yield piece;
    }
    expect(await refusal(endless(Buffer.alloc(1 << 20, " ")))).toMatch(/gt_not_json: content: has a MiB/);
    given = 0;
    const record = Buffer.from(`${JSON.stringify({ file: "a", t: "x".repeat(900_000) })}\n`);
    expect(await refusal(endless(record))).toBe(
      "payload_too_large gt_too_large: a ground truth has at most 100 MiB",
    );
    expect(given).toBeLessThan(limits.bytes + record.length);
    given = 0;
    const small = Buffer.from("{}\n".repeat(1000));
    expect(await refusal(endless(small))).toMatch(
      /gt_too_many_records: line 100001: content: has more than 100000 records/,
    );
    expect(given).toBeLessThan(limits.records * 3 + 2 * small.length);
  });

  test("a gzip that is broken, breaks off, or unpacks to more than a ground truth may have", async () => {
    const packed = gzipSync(JSON.stringify([a, b]));
    expect(await refusal([packed.subarray(0, -12)])).toMatch(/gt_broken_gzip/);
    expect(await refusal([Buffer.concat([packed.subarray(0, 12), Buffer.alloc(50, 7)])])).toMatch(
      /gt_broken_gzip/,
    );
    const bomb = gzipSync(`{}\n${JSON.stringify({ t: "x".repeat(999_999) })}`.repeat(110));
    expect(bomb.length).toBeLessThan(500_000);
    expect(await refusal(pieces(bomb, 1000))).toBe(
      "payload_too_large gt_unpacks_too_large: the gzip unpacks to more than 100 MiB",
    );
  });

  test("of any number of wrong records a hundred are reported and all are counted", async () => {
    const text = `{"file":7}\n`.repeat(300);
    const thrown = await (async () => {
      for await (const _ of Read.records([Buffer.from(text)]));
    })().catch((error: AppError) => error.details);
    expect(thrown).toMatchObject({ reason: "gt_bad_records", issue_count: 300 });
    expect((thrown as { issues: unknown[] }).issues).toHaveLength(100);
  });
});

/** The issues of a refusal as "LINE PATH (FILE): MESSAGE". */
async function issuesOf(given: Iterable<Uint8Array>, imageKey?: string): Promise<string[]> {
  try {
    for await (const _ of Read.records(given, { imageKey }));
  } catch (thrown) {
    const issues = (thrown as AppError).details?.issues ?? [];
    return issues.map(
      ({ line, path, file, message }) => `${line} ${path}${file ? ` (${file})` : ""}: ${message}`,
    );
  }
  return [];
}

describe("a mistake is reported at the line that it is in, from 1, however the bytes are cut and packed:", () => {
  const good = (name: string) => `{"file":"${name}.jpg","total":"1"}`;
  test.each([
    [
      "lines that do not end, contain a line break, or are not JSON",
      [
        good("a"),
        '{"file":"b.jpg"',
        good("c"),
        '{"file":"d.jpg","total":"1}',
        "no json",
        good("e"),
        '{"t":}',
        `${good("h")}}`,
      ],
      [
        "2 records.1: is not valid JSON at line 2, column 16: a bracket is not closed",
        "4 records.3: is not valid JSON at line 4, column 28: a line break in a string is written as \\n",
        "5 records.4: is not valid JSON at line 5, column 1: no JSON value begins so",
        "7 records.6: is not valid JSON at line 7, column 6: a value is missing",
        "8 records.8: is not valid JSON at line 8, column 29: no JSON value begins so",
      ],
    ],
    [
      "a line that breaks off behind a name",
      [good("a"), '{"file":"b.jpg","total":', good("c"), good("d")],
      ["2 content: is not valid JSON: a bracket that is open here is never closed (line 2, column 25)"],
    ],
    [
      "the last line, with lines after it that are empty",
      [good("a"), '{"file":"b.jpg"', "", ""],
      ["2 content: is not valid JSON: it breaks off (line 2, column 16)"],
    ],
    [
      "lines with commas between them",
      [`${good("a")},`, good("b")],
      [
        `1 content: is not valid JSON: JSON lines have no commas between them, and a list has brackets (line 1, column ${good("a").length + 1})`,
      ],
    ],
    [
      "a list with commas at the beginnings of lines",
      ["[", good("a"), ', {"file":"b.jpg"', `,${good("c")}`, "]"],
      ["3 content: is not valid JSON: a bracket that is open here is never closed (line 3, column 18)"],
    ],
    [
      "a list, with a record that does not end",
      ["[", `${good("a")},`, '{"file":"b.jpg",', `${good("c")},`, good("d"), "]", ""],
      ["3 content: is not valid JSON: a bracket that is open here is never closed (line 3, column 17)"],
    ],
    [
      "records over several lines",
      ["[", "{", '  "file": "a.jpg"', '  "total": "1"', "},", '{"file":"b.jpg","total":{}', "", ",}", "]"],
      [
        '3 records.0: is not valid JSON at line 3, column 18: a comma is missing, or a quote within a string is not written as \\"',
        "8 records.1: is not valid JSON at line 8, column 2: the comma before the closing bracket is one too many",
      ],
    ],
    [
      "records by their names",
      ["{", '"a.jpg": {"total": "1"}', '"b.jpg": {"total": "2"}', "}"],
      [
        '2 records.0: is not valid JSON at line 2, column 24: a comma is missing, or a quote within a string is not written as \\"',
      ],
    ],
  ])("%s", async (_, lines, said) => {
    for (const text of [lines.join("\n"), lines.map((line) => `${line}\r`).join("\n")])
      for (const size of [1, 2, 3, 7, 100_000]) {
        const place = (issue: string) =>
          text.includes("\r") ? issue.replace(/column \d+/, "column N") : issue;
        expect((await issuesOf(pieces(text, size))).map(place)).toEqual(said.map(place));
        expect((await issuesOf(pieces(gzipSync(text), size))).map(place)).toEqual(said.map(place));
      }
  });

  test("a record's picture is named beside its mistakes", async () => {
    const text = `${good("a")}\n{"img":"b\\u001b.jpg","total":1e999,"tip":{"any":[]}}`;
    expect(await issuesOf(pieces(text), "img")).toEqual([
      "2 records.1.total (b?.jpg): is a number that loses digits: write it as a text, as it is printed",
      "2 records.1.tip.any (b?.jpg): has no accepted value",
    ]);
  });
});

test("a member for the picture's name that no record has is refused with the members that records have", async () => {
  const text = JSON.stringify([
    { image: "a.jpg", fields: {} },
    { image: "b.jpg", remark: "x", fields: {}, file: null },
  ]);
  const wrong = "which names its picture";
  expect(await issuesOf(pieces(text), "imge")).toEqual([
    `undefined gt_image_key: no record has the member \`imge\`, ${wrong}: did you mean \`image\`?`,
  ]);
  expect(await issuesOf(pieces(text))).toEqual([
    `undefined gt_image_key: no record has the member \`file\`, ${wrong}: there are \`image\`, \`remark\``,
  ]);
  expect(await issuesOf(pieces(text), "image")).toEqual([]);
  for (const one of [
    { img: "a.jpg", total: "1" },
    { img: "a.jpg", fields: { total: "1" } },
  ]) {
    const refused = [expect.stringContaining("gt_image_key: no record has the member `file`")];
    expect(await issuesOf(pieces(JSON.stringify(one)))).toEqual(refused);
  }
  const images = [];
  for await (const { record } of Read.records(pieces(text), { mayBeUnnamed: true }))
    images.push(record.image);
  expect(images).toEqual([undefined, undefined]);
});

test("a file that is packed twice, and an archive, are each refused with their own reason", async () => {
  const packed = gzipSync(gzipSync(JSON.stringify([a])));
  for (const size of [1, 3, 1000])
    expect(await refusal(pieces(packed, size))).toBe(
      "invalid_request gt_packed_twice: content: is packed with gzip twice: unpack it once (gunzip)",
    );
  expect(await refusal(pieces("PK\x03\x04workbook", 1))).toMatch(/gt_not_json: content: is a zip archive/);
});
