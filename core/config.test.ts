import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import * as Config from "#core/config";
import * as Settings from "#core/pod/settings";

describe("configuration", () => {
  test(".env.example names every variable, and none that does not exist", async () => {
    const example = await readFile(new URL("../.env.example", import.meta.url), "utf8");
    const named = [...example.matchAll(/^([A-Z0-9_]+)=/gm)].map((match) => match[1]);
    // The deployment sets the addresses of queues.
    const settable = Config.names.filter((name) => !name.endsWith("_QUEUE_URL"));
    const ofPrograms = [
      "PORT",
      "BUCKET_PORT",
      "LOG_FORMAT",
      "OCRLTY_HOME",
      "DATA_ROOT",
      "AWS_ENDPOINT_URL_SQS",
      "OCRLTY_URL",
      "OCRLTY_API_KEY",
      "OCRLTY_PROFILE",
    ];
    expect(named.toSorted()).toEqual([...settable, ...ofPrograms].toSorted());
  });

  test("an empty variable counts as not set", () => {
    expect(
      Config.parse("model", {
        VLLM_BASE_URL: "http://127.0.0.1:1/v1",
        VLLM_API_KEY: "",
        VLLM_MAX_TOKENS: "",
      }),
    ).toMatchObject({
      VLLM_API_KEY: undefined,
      VLLM_MAX_TOKENS: undefined,
      VLLM_MAX_MODEL_LEN: undefined,
      VLLM_READ_TIMEOUT_S: 90,
    });
  });

  test.each(["https://api.runpod.io/v2/", "http://127.0.0.1:8001/v2", "http://[::1]:8001/v2"])(
    "RUNPOD_API_URL=%s is taken, without a slash at its end",
    (value) => {
      expect(Settings.rentedOf({ RUNPOD_API_URL: value }).apiUrl).toBe(value.replace(/\/$/, ""));
    },
  );

  test("outside Lambda AWS_* serve for the bucket, with a warning; inside they never do", () => {
    const env = { S3_ENDPOINT_URL: "http://127.0.0.1:9", AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const outside = Config.withAliases(env);
    expect(outside.env).toMatchObject({ S3_ACCESS_KEY_ID: "a", S3_SECRET_ACCESS_KEY: "b" });
    expect(outside.warnings).toHaveLength(1);
    expect(
      Config.withAliases({ ...env, AWS_LAMBDA_FUNCTION_NAME: "f" }).env.S3_ACCESS_KEY_ID,
    ).toBeUndefined();
    expect(Config.withAliases({ ...env, S3_ACCESS_KEY_ID: "own" }).env.S3_ACCESS_KEY_ID).toBe("own");
  });

  test("links of the deployment are read under the variables' names, and win over the environment", () => {
    process.env.SST_RESOURCE_App = JSON.stringify({ name: "ocrlty", stage: "test" });
    process.env.SST_RESOURCE_Keys = JSON.stringify({
      API_KEY_PEPPER: "pepper-of-the-link",
      type: "x",
      UNKNOWN: "y",
    });
    try {
      expect(Config.environment({ API_KEY_PEPPER: "pepper-of-dotenv", LOG_LEVEL: "WARN" })).toEqual({
        API_KEY_PEPPER: "pepper-of-the-link",
        LOG_LEVEL: "WARN",
      });
    } finally {
      delete process.env.SST_RESOURCE_App;
      delete process.env.SST_RESOURCE_Keys;
    }
  });

  test("AUTH_DB_PATH of the Python version names the database", () => {
    expect(Config.withAliases({ AUTH_DB_PATH: "keys.db" }).env.DATABASE_URL).toBe("file:keys.db");
  });
});
