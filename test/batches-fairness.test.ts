import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answer, type Batches, open } from "#test/batches";
import { fairness } from "#test/batches/fairness";

let batches: Batches;
let key: string;

beforeAll(async () => {
  // No more workers than one run wants: the other one can only come in between.
  batches = await open({ env: { ITEM_MAX_CONCURRENCY: "8" } });
  [key = ""] = await batches.keys(1);
});
afterAll(async () => {
  await batches?.close();
});

describe("a large run", () => {
  test("of 600 items lets one of 20 in after a window at most, and a single extract at once", async () => {
    batches.model.respond = () => answer(30);
    const line = await fairness(batches, { large: 600, concurrency: 8, serviceMs: 30, key });
    console.info(line);
    expect(line).toContain("600 items");
  }, 120_000);
});
