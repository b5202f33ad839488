import { describe, expect, test } from "vitest";
import { names } from "../core/config.ts";
import { queues, urlVariable } from "./queues.ts";
import { commandOnly, derived, localOnly, plain, secrets } from "./settings.ts";

describe("settings of a deployed stage", () => {
  test("every variable of core/config.ts comes from exactly one place", () => {
    const known = [
      ...Object.keys(secrets),
      ...Object.keys(derived),
      ...Object.values(plain).flat(),
      ...localOnly,
      ...commandOnly,
      ...Object.keys(queues).map(urlVariable),
    ];
    expect(new Set(known).size).toBe(known.length);
    // A queue's address may be set before a function reads it.
    const read = known.filter((name) => names.includes(name) || !name.endsWith("_QUEUE_URL"));
    expect(read.toSorted()).toEqual(names.toSorted());
  });

  test("every variable with a name like a secret is a secret", () => {
    const suspicious = names.filter(
      (name) => /KEY|SECRET|TOKEN|PEPPER|PASSWORD/.test(name) && !/MAX_TOKENS/.test(name),
    );
    expect(suspicious.filter((name) => !(name in secrets))).toEqual([]);
  });
});
