import { describe, expect, test } from "vitest";
import * as Models from "#cli/bench-model/models";

const env = { VLLM_BASE_URL: "http://127.0.0.1:8001/v1", VLLM_MAX_PIXELS: "5000000" };
const models = () => Models.parse({ env }, "a,b");

describe("models at several sizes of pictures", () => {
  test("give one column each, whose loop has that limit or none", () => {
    const sizes = Models.atSizes(models(), "full, 0.8");
    expect(sizes.map(({ label, model, env }) => [label, model, env.VLLM_MAX_PIXELS])).toEqual([
      ["a full", "a", undefined],
      ["a 0.8 MP", "a", "800000"],
      ["b full", "b", undefined],
      ["b 0.8 MP", "b", "800000"],
    ]);
  });

  test("without --pixels the environment's limit applies to all", () => {
    expect(models().map(({ env }) => env.VLLM_MAX_PIXELS)).toEqual(["5000000", "5000000"]);
  });

  test.each(["", "big", "0.01", "-1", "1e1", "200", "1.6,,2"])("%j is refused with what it takes", (text) => {
    expect(() => Models.atSizes(models(), text)).toThrow("--pixels takes megapixels from 0.066 to 100");
  });

  test("a size twice, and more columns than there is room for, are refused", () => {
    expect(() => Models.atSizes(models(), "1,1")).toThrow("--pixels has a size twice");
    expect(() => Models.atSizes(models(), "1,2,3,4,5")).toThrow("2 models at 5 sizes are more than 8");
  });
});
