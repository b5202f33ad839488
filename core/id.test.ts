import { describe, expect, test } from "vitest";
import * as Id from "./id.ts";

describe("an id in a read call", () => {
  test.each(["a", "a~0", "a~7", "a~10", "a~99999", "a.b-c_d~100"])("%j is accepted", (id) => {
    expect(Id.isReadableId(id)).toBe(true);
  });

  test.each([
    "a~00",
    "a~01",
    "a~",
    "a~-1",
    "a~1.0",
    "a~ 1",
    "a~1 ",
    "a~+1",
    "a~1e3",
    "a~1~1",
    "a~1234567",
    "~0",
    "a~x",
  ])("%j is refused, because an item's id has one spelling", (id) => {
    expect(Id.isReadableId(id)).toBe(false);
  });
});
