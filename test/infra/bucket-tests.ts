import { expect, test } from "vitest";
import { jurisdiction } from "#spec/jurisdiction";
import { resourceOf, resourcesOf } from "./looks.ts";
import type { Stages } from "./stages.ts";
import type { Synthesis } from "./synthesis.ts";

interface LifecycleRule {
  enabled: boolean;
  conditions: { prefix: string };
  deleteObjectsTransition?: { condition: { maxAge: number } };
  abortMultipartUploadsTransition?: { condition: { maxAge: number } };
}

/** The tests of the bucket's rules. infra.test.ts runs them, so that the stages are made once. */
export function bucketTests(stages: () => Stages): void {
  test("the bucket's own rules delete temporary files below the stage's prefix, and never an artifact", () => {
    const rules = (stage: Synthesis) => {
      const { inputs } = resourceOf(
        stage,
        "cloudflare:index/r2BucketLifecycle:R2BucketLifecycle",
        "BucketLifecycle",
      );
      return (inputs.rules as LifecycleRule[]).map((rule) => [
        rule.enabled,
        rule.conditions.prefix,
        (rule.deleteObjectsTransition?.condition.maxAge ?? 0) / 86_400,
        (rule.abortMultipartUploadsTransition?.condition.maxAge ?? 0) / 86_400,
      ]);
    };
    const expected = (prefix: string) => [
      [true, `${prefix}inputs/tmp/`, 1, 0],
      [true, `${prefix}inputs/uploads/`, 21, 0],
      [true, `${prefix}inputs/manifests/`, 7, 0],
      [true, `${prefix}backups/`, 1, 0],
      [true, prefix, 0, 1],
    ];
    expect(rules(stages().production)).toEqual(expected(""));
    expect(rules(stages().staging)).toEqual(expected("team/receipts/"));
  });

  test("browsers may put files into the bucket from the origins that may call the API", () => {
    const [cors] = resourcesOf(stages().production, "cloudflare:index/r2BucketCors:R2BucketCors");
    expect(cors?.inputs.rules).toMatchObject([
      {
        allowed: {
          methods: ["PUT", "GET"],
          origins: ["https://app.example.com", "https://admin.example.com"],
          headers: ["content-type", "if-none-match", "x-amz-checksum-sha256"],
        },
      },
    ]);
  });

  test("a bucket of the EU has this jurisdiction in all resources, and is reached at the EU's host", () => {
    const parts = (stage: Synthesis) =>
      ["r2Bucket:R2Bucket", "r2BucketLifecycle:R2BucketLifecycle", "r2BucketCors:R2BucketCors"].map(
        (type) => resourcesOf(stage, `cloudflare:index/${type}`)[0]?.inputs.jurisdiction,
      );
    expect(parts(stages().staging)).toEqual(["eu", "eu", "eu"]);
    expect(stages().staging.links.Storage?.properties).toMatchObject({
      S3_ENDPOINT_URL: "https://account.eu.r2.cloudflarestorage.com",
    });
    expect(parts(stages().production)).toEqual([undefined, undefined, undefined]);
    expect(stages().production.links.Storage?.properties).toMatchObject({
      S3_ENDPOINT_URL: "https://account.r2.cloudflarestorage.com",
    });
    expect(() => jurisdiction({ R2_JURISDICTION: "europe" })).toThrow("one of default, eu, fedramp");
  });

  elsewhereTests(stages);
}

/** Stages that use another S3. */
function elsewhereTests(stages: () => Stages): void {
  const onR2 = (stage: Synthesis) =>
    stage.resources.filter(({ type }) => type.startsWith("cloudflare:")).map(({ name }) => name);
  const variables = (stage: Synthesis) =>
    resourceOf(stage, "aws:lambda/function:Function", "ExtractFunction").inputs.environment;

  test("another S3 needs only settings: nothing is created on R2, and the functions use the bucket that is named", () => {
    const { elsewhere } = stages();
    expect(onR2(elsewhere)).toEqual([]);
    expect(Object.keys(elsewhere.app.providers ?? {})).toEqual(["aws"]);
    expect(elsewhere.links.Storage?.properties).toMatchObject({
      S3_ENDPOINT_URL: "https://s3.example.com:9000",
      S3_BUCKET: "receipts",
      S3_REGION: "eu-north-1",
    });
    expect(variables(elsewhere)).toMatchObject({ variables: { S3_FORCE_PATH_STYLE: "1" } });
    expect(elsewhere.outputs.setOnYourBucket).toContain(
      "aws s3api put-bucket-cors --endpoint-url https://s3.example.com:9000 --bucket receipts",
    );
    expect(stages().production.outputs).not.toHaveProperty("setOnYourBucket");
  });

  test("a stage that moves to another S3 keeps its bucket on R2 unchanged if the setting has the bucket's name", () => {
    const { kept, staging } = stages();
    const parts = (stage: Synthesis) =>
      stage.resources
        .filter(({ type }) => type.startsWith("cloudflare:"))
        // The suffix of the name is random, and Pulumi keeps the first one.
        .map(({ inputs: { name: _, ...inputs }, ...part }) => ({ ...part, inputs }));
    expect(parts(kept)).toHaveLength(3);
    expect(parts(kept)).toEqual(parts(staging));
    expect(Object.keys(kept.app.providers ?? {})).toContain("cloudflare");
    expect(kept.links.Storage?.properties).toMatchObject({ S3_BUCKET: "receipts" });
  });
}
