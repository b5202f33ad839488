import { createHash } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import * as S3 from "@aws-sdk/client-s3";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerOf, Bucket, credentials, freshKey, open, type Store } from "#test/support/s3-store";

let store: Store;

beforeAll(async () => {
  store = await open();
});

afterAll(() => store.stop());

describe("signatures", () => {
  test("an unsigned request is refused, whatever it asks for", async () => {
    const Key = freshKey();
    await store.put(Key, "secret");
    for (const [path, method] of [
      ["/", "GET"],
      [`/${Bucket}?list-type=2`, "GET"],
      [`/${Bucket}/${Key}`, "GET"],
      [`/${Bucket}/${Key}`, "PUT"],
      [`/${Bucket}/${Key}`, "DELETE"],
      [`/${Bucket}/none`, "GET"],
      [`/none/none`, "GET"],
    ])
      expect(await answerOf(store.server.url + path, { method: method ?? "" })).toMatchObject({
        status: 403,
        code: "AccessDenied",
      });
    expect(await store.textOf(Key)).toBe("secret");
  });

  test("a wrong secret and an unknown key have different codes, both 403", async () => {
    const wrong = store.clientOf({ credentials: { ...credentials, secretAccessKey: "other" } });
    const unknown = store.clientOf({ credentials: { ...credentials, accessKeyId: "other" } });
    const command = new S3.PutObjectCommand({ Bucket, Key: freshKey(), Body: "x" });
    await expect(wrong.send(command)).rejects.toMatchObject({
      name: "SignatureDoesNotMatch",
      $metadata: { httpStatusCode: 403 },
    });
    await expect(unknown.send(command)).rejects.toMatchObject({
      name: "InvalidAccessKeyId",
      $metadata: { httpStatusCode: 403 },
    });
  });

  test("any region in the signature is accepted", async () => {
    for (const region of ["auto", "eu-central-1"]) {
      const { Buckets } = await store.clientOf({ region }).send(new S3.ListBucketsCommand());
      expect(Buckets?.map(({ Name }) => Name)).toContain(Bucket);
    }
  });

  test("a clock that is more than 15 minutes off is refused in both directions", async () => {
    for (const minutes of [-16, 16, -14, 14]) {
      const client = store.clientOf({ systemClockOffset: minutes * 60_000 });
      const [listed, asked] = await Promise.allSettled([
        client.send(new S3.ListBucketsCommand()),
        client.send(new S3.HeadBucketCommand({ Bucket })),
      ]);
      const refused = Math.abs(minutes) > 15;
      expect(listed).toMatchObject(
        refused ? { reason: { name: "RequestTimeTooSkewed" } } : { status: "fulfilled" },
      );
      expect(asked).toMatchObject(
        refused ? { reason: { $metadata: { httpStatusCode: 403 } } } : { status: "fulfilled" },
      );
    }
  });

  test("a header-signed request is refused when anything of it was changed on the way", async () => {
    const Key = freshKey();
    let sent: { path: string; headers: Record<string, string> } | undefined;
    const spy = store.clientOf();
    spy.middlewareStack.add(
      (next) => (args) => {
        sent = args.request as typeof sent;
        return next(args);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    await spy.send(
      new S3.PutObjectCommand({ Bucket, Key, Body: "body", ContentType: "text/a", Metadata: { a: "1" } }),
    );
    const { host: _, "content-length": __, expect: ___, ...headers } = sent?.headers ?? {};
    const url = `${store.server.url}${sent?.path}?x-id=PutObject`;
    const send = (change: Record<string, string>, to = url, body = "body") =>
      answerOf(to, { method: "PUT", body, headers: { ...headers, ...change } });
    expect((await send({})).status).toBe(200);
    expect(await send({ "content-type": "text/b" })).toMatchObject({
      status: 403,
      code: "SignatureDoesNotMatch",
    });
    expect(await send({ "x-amz-meta-a": "2" })).toMatchObject({ status: 403, code: "SignatureDoesNotMatch" });
    expect(await send({ "x-amz-meta-b": "2" })).toMatchObject({ status: 403, code: "AccessDenied" });
    expect(await send({}, `${url}&x=1`)).toMatchObject({ status: 403, code: "SignatureDoesNotMatch" });
    expect(await send({}, url.replace(Key, `${Key}x`))).toMatchObject({
      status: 403,
      code: "SignatureDoesNotMatch",
    });
    expect(await send({}, url, "BODY")).toMatchObject({ status: 400, code: "XAmzContentSHA256Mismatch" });
    const later = (headers["x-amz-date"] ?? "").replace(/\d\dZ$/, (end) => (end === "00Z" ? "01Z" : "00Z"));
    expect(await send({ "x-amz-date": later })).toMatchObject({ status: 403, code: "SignatureDoesNotMatch" });
    expect(await store.textOf(Key)).toBe("body");
  });

  test("a presigned upload takes exactly the signed length and condition, whatever its type, and only once", async () => {
    const Key = freshKey("ü ~'()*!/x");
    const { url, headers } = await store.presignPut(Key, "12345");
    const send = (change: Record<string, string>, body = "12345", to = url, method = "PUT") =>
      answerOf(to, { method, body, headers: { ...headers, ...change } });
    const refused = { status: 403, code: "SignatureDoesNotMatch" };
    expect(await send({}, "123456")).toMatchObject(refused);
    expect(await send({}, "1234")).toMatchObject(refused);
    expect(await send({ "if-none-match": '"x"' })).toMatchObject(refused);
    expect(
      await answerOf(url, { method: "PUT", body: "12345", headers: { "content-type": "image/png" } }),
    ).toMatchObject(refused);
    expect(await send({}, "12345", url, "POST")).toMatchObject(refused);
    expect(await send({}, "12345", url.replace("x-id=PutObject", "x-id=Other"))).toMatchObject(refused);
    expect(await send({}, "12345", `${url}&acl`)).toMatchObject(refused);
    expect(await send({}, "12345", url.replace("/x-", "/y-"))).toMatchObject(refused);
    expect(await send({}, "12345", url.replace(/Expires=60/, "Expires=6000"))).toMatchObject(refused);
    expect(
      await send(
        {},
        "12345",
        url.replace(/.$/, (end) => (end === "a" ? "b" : "a")),
      ).then(({ status }) => status),
    ).toBe(403);
    expect(await send({ "x-amz-meta-a": "1" })).toMatchObject({ status: 403, code: "AccessDenied" });
    expect(await send({ "x-amz-acl": "public-read" })).toMatchObject({ status: 403, code: "AccessDenied" });
    await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
    expect((await send({ "content-type": "application/x-www-form-urlencoded" })).status).toBe(200);
    expect(await send({})).toMatchObject({ status: 412, code: "PreconditionFailed" });
    expect(await store.textOf(Key)).toBe("12345");
  });

  test("mistakes with a presigned upload are explained, with what to do", async () => {
    const { url, headers } = await store.presignPut(freshKey(), "12345");
    const words = async (
      change: Record<string, string>,
      { body = "12345", to = url, method = "PUT", base = headers } = {},
    ) => {
      const answer = await answerOf(to, { method, body, headers: { ...base, ...change } });
      return /<Message>(.*)<\/Message>/.exec(answer.xml)?.[1];
    };
    expect(await words({}, { body: "123456" })).toContain(
      "this is a PUT with Content-Length: 6 and If-None-",
    );
    expect(await words({}, { base: { "content-type": "image/png" } })).toContain(
      "with Content-Length: 5 and no If-None-Match. Send the file",
    );
    expect(await words({}, { method: "POST" })).toContain("this is a POST with");
    expect(await words({ authorization: "Bearer mine" })).toContain("Leave Authorization out");
    expect(await words({ "x-amz-acl": "public-read" })).toContain("Leave out every x-amz- header");
    expect(await words({}, { to: url.slice(0, url.indexOf("&")) })).toContain("in single quotes");
    expect(await words({})).toBe(undefined);
    expect(await words({})).toContain("an upload accepts one PUT");
  });

  test("a presigned URL is valid from its date to its end, not before and not after", async () => {
    const body = "x";
    const send = async (secondsAgo: number, expiresIn: number) => {
      const signingDate = new Date(Date.now() - secondsAgo * 1000);
      const { url, headers } = await store.presignPut(freshKey(), body, { signingDate, expiresIn });
      return answerOf(url, { method: "PUT", body, headers });
    };
    const expired = await send(62, 60);
    expect(expired).toMatchObject({ status: 403, code: "AccessDenied" });
    expect(expired.xml).toContain("<Message>Request has expired. Ask for a new URL");
    expect((await send(58, 60)).status).toBe(200);
    expect(await send(-16 * 60, 60)).toMatchObject({ status: 403, code: "AccessDenied" });
  });

  test("a presigned URL that names the body's hash takes no other body", async () => {
    const host = new URL(store.server.url).host;
    const signer = new SignatureV4({
      credentials,
      region: "auto",
      service: "s3",
      sha256: Sha256,
      uriEscapePath: false,
    });
    const hash = createHash("sha256").update("right").digest("hex");
    const signed = await signer.presign({
      method: "PUT",
      protocol: "http:",
      hostname: host,
      path: `/${Bucket}/${freshKey()}`,
      headers: { host, "x-amz-content-sha256": hash, "x-amz-meta-a": "1" },
    });
    const url = `http://${host}${signed.path}?${new URLSearchParams(signed.query as Record<string, string>)}`;
    expect(await answerOf(url, { method: "PUT", body: "wrong" })).toMatchObject({
      status: 400,
      code: "XAmzContentSHA256Mismatch",
    });
    expect((await answerOf(url, { method: "PUT", body: "right" })).status).toBe(200);
    const key = signed.path.split("/")[2] ?? "";
    expect((await store.get(key)).Metadata).toEqual({ a: "1" });
  });

  test("malformed credentials of all kinds are 4xx with S3's XML and a request id", async () => {
    const { url } = await store.presignPut(freshKey(), "x");
    const { url: signed } = { url: `${store.server.url}/${Bucket}` };
    const hash = "0".repeat(64);
    const claim = `Credential=${credentials.accessKeyId}/20260101/auto/s3/aws4_request, SignedHeaders=host, Signature=${hash}`;
    const headers = [
      "Basic eDp5",
      "AWS4-HMAC-SHA256",
      `AWS4-HMAC-SHA256 ${claim}`,
      `AWS4-HMAC-SHA256 ${claim.replace("/s3/", "/sqs/")}`,
      `AWS4-HMAC-SHA256 ${claim.replace(hash, "zz")}`,
      "AWS4-ECDSA-P256-SHA256 x",
    ];
    for (const authorization of headers) {
      const { status, xml } = await answerOf(signed, {
        headers: { authorization, "x-amz-date": "20260101T000000Z" },
      });
      expect([400, 403], xml).toContain(status);
      expect(xml).toMatch(
        /<Error><Code>\w+<\/Code><Message>.+<RequestId>[0-9A-F]{16}<\/RequestId><\/Error>$/,
      );
    }
    const urls = [
      url.replace(/X-Amz-Date=[^&]*/, "X-Amz-Date=20269999T000000Z"),
      url.replace(/X-Amz-Expires=60/, "X-Amz-Expires=604801"),
      url.replace(/&X-Amz-SignedHeaders=[^&]*/, ""),
      `${url}&X-Amz-Signature=${hash}`,
      `${url}&X-Amz-Expires=600`,
    ];
    for (const one of urls)
      expect(await answerOf(one, { method: "PUT", body: "x" }), one).toMatchObject({
        status: 400,
        code: "AuthorizationQueryParametersError",
      });
    const both = await answerOf(url, { headers: { authorization: `AWS4-HMAC-SHA256 ${claim}` } });
    expect(both).toMatchObject({ status: 400, code: "InvalidArgument" });
  });
});
