import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import * as Match from "./match.ts";
import * as Record from "./record.ts";

const records = (...images: (string | undefined)[]) =>
  images.map((file, index) => {
    const { record, issues } = Record.parse({ file, fields: { total: `${index}.00` } }, { index });
    if (record === undefined) throw new Error(JSON.stringify(issues));
    return record;
  });

const items = (...names: (string | null)[]) => names.map((name, index) => ({ index, name }));

/** Items as `name: record places`, or why they have none; and records that are not used. */
async function matched(run: Match.Item[], labels: Record.GroundTruth[]) {
  const lines: { [name: string]: string } = {};
  const unused: { [record: string]: string } = {};
  for await (const each of Match.match(run, labels)) {
    if (each.kind === "record") unused[`${each.index} ${each.image}`] = each.unused;
    else
      lines[String(each.item.name)] =
        each.without ?? each.documents.map(({ document, record }) => `${document}:${record.index}`).join(" ");
  }
  return { lines, unused };
}

describe("items and records", () => {
  test("are brought together by the last part of their names, whatever the folders, the system and the form of letters", async () => {
    const run = items("in/a.jpg", "caf\u00e9.png", "C.JPG", "d.jpg");
    const found = await matched(run, records("a.jpg", "scans\\cafe\u0301.png", "c.jpg", "./d.jpg"));
    expect(found).toEqual({
      lines: { "in/a.jpg": "1:0", "caf\u00e9.png": "1:1", "C.JPG": "no_record", "d.jpg": "1:3" },
      unused: { "2 c.jpg": "no_item" },
    });
  });

  test("of one name in several folders are distinguished by folder, and never guessed", async () => {
    const run = items("x/1/r.jpg", "x/2/r.jpg", "y/r.jpg", "z/r.jpg");
    expect(await matched(run, records("1/r.jpg", "data/y/r.jpg", "x/2/r.jpg"))).toEqual({
      lines: { "x/1/r.jpg": "1:0", "x/2/r.jpg": "1:2", "y/r.jpg": "1:1", "z/r.jpg": "no_record" },
      unused: {},
    });
    expect(await matched(items("a/r.jpg", "b/r.jpg"), records("r.jpg"))).toEqual({
      lines: { "a/r.jpg": "ambiguous", "b/r.jpg": "ambiguous" },
      unused: { "0 r.jpg": "several_items" },
    });
  });

  test("belong together if only one record and one item have the name, whatever their folders are", async () => {
    expect(await matched(items("pics/a.png", "b.png"), records("train/images/a.png", "train/b.png"))).toEqual(
      {
        lines: { "pics/a.png": "1:0", "b.png": "1:1" },
        unused: {},
      },
    );
  });

  test("where two records name one document, neither is used and both are listed", async () => {
    expect(await matched(items("a/r.jpg", "s.jpg"), records("r.jpg", "s.jpg", "r.jpg"))).toEqual({
      lines: { "a/r.jpg": "ambiguous", "s.jpg": "1:1" },
      unused: { "0 r.jpg": "duplicate", "2 r.jpg": "duplicate" },
    });
    // One record names the folder, so the other is for another picture.
    expect(await matched(items("a/r.jpg"), records("b/r.jpg", "a/r.jpg"))).toEqual({
      lines: { "a/r.jpg": "1:1" },
      unused: { "0 b/r.jpg": "no_item" },
    });
  });

  test("that share more folders belong together, also if others share fewer", async () => {
    const run = items("scans/1/a.jpg", "scans/2/a.jpg");
    for (const order of [
      ["a.jpg", "1/a.jpg", "2/a.jpg"],
      ["2/a.jpg", "1/a.jpg", "a.jpg"],
    ]) {
      const { lines, unused } = await matched(run, records(...order));
      expect(lines, order.join()).toEqual({
        "scans/1/a.jpg": `1:${order.indexOf("1/a.jpg")}`,
        "scans/2/a.jpg": `1:${order.indexOf("2/a.jpg")}`,
      });
      expect(unused).toEqual({ [`${order.indexOf("a.jpg")} a.jpg`]: "duplicate" });
    }
    // The same where the items have the shorter paths.
    expect(await matched(items("a.jpg", "1/a.jpg", "2/a.jpg"), records("in/1/a.jpg", "in/2/a.jpg"))).toEqual({
      lines: { "a.jpg": "no_record", "1/a.jpg": "1:0", "2/a.jpg": "1:1" },
      unused: {},
    });
    // Two records that share equally many folders are ambiguous, and are not matched to an item that shares fewer.
    expect(await matched(items("x/1/a.jpg", "y/1/a.jpg", "a.jpg"), records("1/a.jpg"))).toEqual({
      lines: { "x/1/a.jpg": "ambiguous", "y/1/a.jpg": "ambiguous", "a.jpg": "no_record" },
      unused: { "0 1/a.jpg": "several_items" },
    });
    expect(await matched(items("1/a.jpg", "2/a.jpg"), records("1/a.jpg", "1/a.jpg", "3/a.jpg"))).toEqual({
      lines: { "1/a.jpg": "ambiguous", "2/a.jpg": "no_record" },
      unused: { "0 1/a.jpg": "duplicate", "1 1/a.jpg": "duplicate", "2 3/a.jpg": "no_item" },
    });
  });

  test("#2 labels the second document of a picture, unless a file is called so", async () => {
    const run = items("p.pdf", "scan#2.jpg", "odd.jpg#3");
    expect(await matched(run, records("p.pdf#2", "p.pdf", "scan#2.jpg", "odd.jpg#3", "q.pdf#2"))).toEqual({
      lines: { "p.pdf": "1:1 2:0", "scan#2.jpg": "1:2", "odd.jpg#3": "1:3" },
      unused: { "4 q.pdf#2": "no_item" },
    });
    expect((await matched(items("p.pdf"), records("p.pdf#1", "p.pdf"))).unused).toEqual({
      "0 p.pdf#1": "duplicate",
      "1 p.pdf": "duplicate",
    });
  });

  test("without a name are listed", async () => {
    expect(await matched(items(null, "a.jpg"), records(undefined, "a.jpg"))).toEqual({
      lines: { null: "no_record", "a.jpg": "1:1" },
      unused: { "0 null": "unnamed" },
    });
  });

  test("all come out once, in whatever order they are given, and so do the labels", async () => {
    const count = 3000;
    const run = Array.from({ length: count }, (_, index) => ({
      index,
      name: `f${index % 50}/${index}/r.jpg`,
    }));
    const labels = records(
      ...run.map(({ index, name }) => (index % 3 === 0 ? `${index}/r.jpg` : name)).reverse(),
    );
    const seen = { items: 0, records: 0, labelled: 0 };
    for await (const each of Match.match(run, labels)) {
      if (each.kind === "record") {
        seen.records += 1;
        continue;
      }
      expect(each.item.index).toBe(seen.items);
      seen.items += 1;
      const total = each.documents[0]?.record.labels.get("total");
      if (total?.kind === "value" && total.accepted[0] === `${count - 1 - each.item.index}.00`)
        seen.labelled += 1;
    }
    expect(seen).toEqual({ items: count, records: 0, labelled: count });
  });

  test("leave no file behind, however the iteration ends", async () => {
    const spilled = () => readdirSync(tmpdir()).filter((name) => name.startsWith("ocrlty-spill-")).length;
    const before = spilled();
    const iteration = Match.match(items("a.jpg", "b.jpg"), records("a.jpg", "b.jpg"));
    await iteration.next();
    expect(spilled()).toBe(before + 1);
    await iteration.return(undefined);
    expect(spilled()).toBe(before);
  });
});
