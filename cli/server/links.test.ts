import { describe, expect, test } from "vitest";
import { demand, withLinks } from "./links.ts";

const links = {
  App: { name: "ocrlty", stage: "staging" },
  Database: { type: "sst.sst.Linkable", DATABASE_URL: "libsql://stage", DATABASE_AUTH_TOKEN: "t" },
  Auth: { API_KEY_PEPPER: "p" },
  Queues: { SINGLE_QUEUE_URL: "https://sqs/single", LATER_QUEUE_URL: "https://sqs/later" },
  Odd: { PATH: "/evil", AWS_ACCESS_KEY_ID: "not a setting", DATABASE_URL: 5 },
  Api: { url: "https://api.example.com" },
};
const wanted = {
  DATABASE_URL: "libsql://stage",
  DATABASE_AUTH_TOKEN: "t",
  API_KEY_PEPPER: "p",
  SINGLE_QUEUE_URL: "https://sqs/single",
  LATER_QUEUE_URL: "https://sqs/later",
  OCRLTY_URL: "https://api.example.com",
};

describe("settings under sst shell", () => {
  test.each([
    [
      "one variable a link",
      Object.fromEntries(
        Object.entries(links).map(([name, value]) => [`SST_RESOURCE_${name}`, JSON.stringify(value)]),
      ),
    ],
    ["one variable for all", { SST_RESOURCES_JSON: JSON.stringify(links) }],
  ])(
    "the stage's settings take precedence over exported variables, and nothing but settings is taken: %s",
    (_form, given) => {
      const env = {
        ...given,
        PATH: "/bin",
        DATABASE_URL: "file:mine.db",
        OCRLTY_URL: "http://127.0.0.1:8080",
        OCRLTY_PROFILE: "production",
      };
      expect(withLinks(env)).toEqual({ ...env, ...wanted, OCRLTY_PROFILE: undefined });
    },
  );

  test("without links, and with a broken one, the environment stays as it is", () => {
    const env = { DATABASE_URL: "file:mine.db", SST_RESOURCE_Database: "{" };
    expect(withLinks(env)).toEqual(env);
    const app = { ...env, SST_RESOURCE_App: "{}" };
    expect(withLinks(app)).toEqual(app);
  });

  test.each([
    ["of a stage that was never deployed", {}, /^stage staging has no DATABASE_URL/],
    ["without a scheme, which would be a file here", { DATABASE_URL: "stage.turso.io" }, /is not an address/],
    ["that is a file", { DATABASE_URL: "file:mine.db" }, /is not an address/],
  ])("a database %s is refused, whatever the laptop has", (_what, Database, message) => {
    const env = {
      SST_RESOURCES_JSON: JSON.stringify({ App: links.App, Database }),
      DATABASE_URL: "file:mine.db",
    };
    expect(() => demand(withLinks(env), "DATABASE_URL")).toThrow(message);
  });

  test("a stage's settings are accepted if they are complete; outside of `sst shell` nothing is required", () => {
    const env = withLinks({ SST_RESOURCES_JSON: JSON.stringify(links) });
    for (const name of ["DATABASE_URL", "API_KEY_PEPPER", "OCRLTY_URL"] as const) {
      expect(() => demand(env, name)).not.toThrow();
      expect(() => demand({}, name)).not.toThrow();
    }
    const { Api: _, ...others } = links;
    const half = withLinks({
      SST_RESOURCES_JSON: JSON.stringify(others),
      OCRLTY_URL: "http://127.0.0.1:8080",
    });
    expect(() => demand(half, "OCRLTY_URL")).toThrow("stage staging has no OCRLTY_URL");
  });
});
