import { expect, it } from "vitest";
import * as Progress from "./progress.ts";

it("the rate is that of the last minute only", () => {
  let now = 0;
  const meter = new Progress.Meter(0, () => now);
  expect(meter.figures(0, 100, "items")).toEqual([]);
  for (let done = 1; done <= 60; done += 1) {
    now += 100;
    meter.add(done);
  }
  expect(meter.rate()).toBeCloseTo(10);
  expect(meter.figures(60, 100, "items")).toEqual(["10.0 items/s", "4 s left"]);
  for (let done = 61; done <= 72; done += 1) {
    now += 10_000;
    meter.add(done);
  }
  expect(meter.rate()).toBeCloseTo(0.1);
  expect(meter.figures(72, 100, "items")).toEqual(["6.0 items/min", "5 min left"]);
});

it("a resumed run's earlier items do not count for the rate", () => {
  let now = 0;
  const meter = new Progress.Meter(500, () => now);
  now = 200;
  meter.add(560);
  expect(meter.rate(), "a rate of a moment would be chance").toBeUndefined();
  now = 3_000;
  meter.add(506);
  expect(meter.rate()).toBeCloseTo(2);
});

it("without a terminal, a line is printed at the end and when something changes, not for each item", () => {
  const said: string[] = [];
  const progress = Progress.start(
    { say: (line) => said.push(line) },
    { label: "r", unit: "items", total: 50 },
  );
  for (let done = 1; done <= 50; done += 1)
    progress.update(done, done === 20 ? "waiting for the model server" : "");
  progress.stop();
  progress.update(50);
  expect(said).toHaveLength(2);
  expect(said[0]).toMatch(/^r 20\/50, waiting for the model server/);
  expect(said[1]).toMatch(/^r 50\/50/);
});

it.each([
  [0.2, "1 s"],
  [89, "89 s"],
  [600, "10 min"],
  [12_000, "3 h 20 min"],
])("%d seconds are shown as %s", (seconds, text) => {
  expect(Progress.duration(seconds)).toBe(text);
});
