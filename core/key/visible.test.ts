import { expect, test } from "vitest";
import * as RunStores from "#test/support/run-stores";
import { visibleKey } from "./visible.ts";

const lines: unknown[] = [];
const log = {
  ...RunStores.silent,
  info: (event: string, fields?: object) => void lines.push({ event, ...fields }),
};
const one = { log, action: "delete", what: "run", id: "r-1" } as const;

test("the scope gives access to other keys' data, the role alone does not, and the owner is logged", () => {
  const admin = RunStores.client("boss", { role: "admin", scopes: ["extract:run", "admin:all_keys"] });
  const named = RunStores.client("chief", { role: "admin" });
  expect(visibleKey(admin, "alice", one)).toBe("alice");
  expect(
    visibleKey(admin, undefined, { ...one, action: "read", what: "runs", id: undefined }, { all: true }),
  ).toBe(undefined);
  expect(visibleKey(admin, undefined, one)).toBe("boss");
  expect(visibleKey(named, undefined, one, { all: true })).toBe("chief");
  expect(() => visibleKey(named, "alice", one)).toThrow(expect.objectContaining({ code: "not_found" }));
  // A text that is not an id is not logged.
  visibleKey(admin, "a secret", { ...one, id: "another secret" });
  const by = { event: "other_key_access", by_key_id: "boss" };
  expect(lines).toEqual([
    { ...by, key_id: "alice", action: "delete", what: "run", id: "r-1" },
    { ...by, key_id: "*", action: "read", what: "runs", id: undefined },
    { ...by, key_id: "(no id)", action: "delete", what: "run", id: undefined },
  ]);
});
