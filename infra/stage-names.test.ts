import { expect, test } from "vitest";
import { refused } from "../test/infra/synthesis.ts";

test("no stage is called local, which is how functions know that they run on a laptop", async () => {
  await expect(refused("local")).rejects.toThrow('"local" is not a name for a stage');
});

test.each(["production-2", "staging-anna"])(
  "no stage is called %s, which begins like a shared stage",
  async (stage) => {
    await expect(refused(stage)).rejects.toThrow("may not begin with production- or staging-");
  },
);
