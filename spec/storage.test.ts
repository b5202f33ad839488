import { describe, expect, test } from "vitest";
import { rules } from "./lifecycle.ts";
import { assertKept, leftBucket, storage, toSet } from "./storage.ts";

const own = { S3_ENDPOINT_URL: "https://s3.example.com", S3_BUCKET: "receipts" };

describe("where a stage keeps its objects", () => {
  test("on R2 unless the deploying environment names another S3; an empty variable counts as not set", () => {
    expect(storage({ S3_ENDPOINT_URL: "", S3_BUCKET: "" })).toEqual({ kind: "r2", jurisdiction: "default" });
    expect(storage({ R2_JURISDICTION: "eu" })).toEqual({ kind: "r2", jurisdiction: "eu" });
    expect(storage(own)).toEqual({
      kind: "own",
      endpoint: "https://s3.example.com",
      bucket: "receipts",
      region: "auto",
    });
    expect(storage({ ...own, S3_REGION: "us-east-1" })).toMatchObject({ region: "us-east-1" });
  });

  test("incomplete settings of another S3 are refused", () => {
    expect(() => storage({ S3_ENDPOINT_URL: "https://s3.example.com" })).toThrow(
      "S3_BUCKET has to name the bucket",
    );
    expect(() => storage({ S3_BUCKET: "receipts" })).toThrow("S3_BUCKET is set without S3_ENDPOINT_URL");
  });

  test("the bucket of a stage that moves to another S3 is kept by its name or removed when it is empty, and is never ignored", () => {
    expect(() => leftBucket(own, true)).toThrow("set R2_BUCKET_LEFT to its name");
    expect(() => leftBucket({ ...own, R2_BUCKET_LEFT: "" }, true)).toThrow("set R2_BUCKET_LEFT=emptied");
    expect(leftBucket({ ...own, R2_BUCKET_LEFT: "ocrlty-x" }, true)).toEqual({ kept: "ocrlty-x" });
    expect(leftBucket({ ...own, R2_BUCKET_LEFT: "emptied" }, true)).toBe("removed");
    expect(() => assertKept("ocrlty-x", "ocrlty-y")).toThrow(
      "is not the name of this stage's bucket, which is ocrlty-y",
    );
    expect(() => assertKept("ocrlty-x", "ocrlty-x")).not.toThrow();
    // A stage without one, and one that stays on R2.
    expect(leftBucket(own, false)).toBe("none");
    expect(leftBucket({}, true)).toBe("none");
  });
});

test("the commands for another S3 have every rule of the bucket that a deployment makes", () => {
  const env = {
    ...own,
    S3_PREFIX: "/team/",
    CORS_ALLOW_ORIGINS: "https://app.example.com, https://b.example.com",
  };
  const [lifecycle = "", cors = "", ...more] = toSet(env, storage(env) as never).split("\n");
  expect(more).toEqual([]);
  const value = (line: string) => JSON.parse(/'(.*)'$/.exec(line)?.[1] ?? "");
  expect(lifecycle).toMatch(
    /^aws s3api put-bucket-lifecycle-configuration --endpoint-url https:\/\/s3\.example\.com --bucket receipts /,
  );
  expect(value(lifecycle).Rules).toHaveLength(rules(env).length);
  expect(value(lifecycle).Rules).toContainEqual({
    ID: "uploads",
    Status: "Enabled",
    Filter: { Prefix: "team/inputs/uploads/" },
    Expiration: { Days: 21 },
  });
  expect(value(lifecycle).Rules).toContainEqual({
    ID: "unfinished-uploads",
    Status: "Enabled",
    Filter: { Prefix: "team/" },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
  });
  expect(value(cors).CORSRules).toMatchObject([
    { AllowedMethods: ["PUT", "GET"], AllowedOrigins: ["https://app.example.com", "https://b.example.com"] },
  ]);
  // Without origins no page may put files.
  expect(toSet(own, storage(own) as never)).not.toContain("cors");
});
