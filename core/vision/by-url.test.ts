import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as ByUrl from "#core/vision/by-url";
import type * as Vision from "#core/vision/vision";
import * as Asking from "#test/support/model-server/asking";
import { failure, picture, serverOf } from "#test/support/model-server/asking";
import * as ModelServer from "#test/support/model-server/model-server";

const url = "http://bucket.test/inputs/a.jpg?X-Amz-Signature=5ec2e7";
const linked = { bytes: new Uint8Array(), mimeType: "image/jpeg", url };

let model: ModelServer.ModelServer;
beforeEach(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterEach(() => model.close());

const urlsOf = ({ body }: ModelServer.Received) =>
  (body.messages ?? []).flatMap(({ content }) =>
    typeof content === "string" ? [] : content.flatMap(({ image_url }) => image_url?.url ?? []),
  );

/** Asks with a URL; events and bytes are as the options say. */
function ask(options: Partial<Parameters<typeof Vision.ask>[2]> = {}) {
  const onNotFetched = vi.fn(async () => [picture]);
  const onUrlsOff = vi.fn();
  const events: unknown[] = [];
  const asked = Asking.ask(
    model,
    { onNotFetched, onUrlsOff, onEvent: (event) => events.push(event), ...options },
    { images: [linked] },
  );
  return { asked, onNotFetched, onUrlsOff, events };
}

/** Answers a call by URL with `refusal`, and a call with bytes with an answer. */
function refuses(refusal: ModelServer.Behavior): void {
  model.respond = (received) =>
    urlsOf(received).some((each) => each.startsWith("http")) ? refusal : ModelServer.json({ total: "1" });
}

test("a picture by URL is sent as it is, and the log has no part of it", async () => {
  model.respond = () => ModelServer.json({ total: "1" });
  const { asked, events } = ask();
  await asked;
  expect(model.requests.map(urlsOf)).toEqual([[url]]);
  expect(events[0]).toMatchObject({ event: "vllm_call_start", image_urls: 1, image_bytes: 0 });
  expect(JSON.stringify(events)).not.toContain("bucket.test");
});

/** In the words of vLLM 0.32. */
const refusals: [string, ModelServer.Behavior, string][] = [
  [
    "the bucket's 403",
    ModelServer.error(
      422,
      `Failed to fetch media from URL: HTTP 403 error (parameter=image_url, value=${url})`,
    ),
    "picture_not_fetched",
  ],
  [
    "a host that the server may not ask",
    ModelServer.error(
      400,
      "The URL must be from one of the allowed domains: ['a.test']. Input URL domain: bucket.test",
    ),
    "picture_not_fetched",
  ],
  [
    "a fetch that ran out of time",
    ModelServer.error(500, "Internal server error"),
    "model_server_status_500",
  ],
  [
    "a server that takes no URLs",
    ModelServer.error(400, "image_url must be a data URL"),
    "model_server_status_400",
  ],
];

describe("a server that does not take a URL", () => {
  test.each(refusals)("(%s) gets the bytes, and this is reported once", async (_, refusal, reason) => {
    refuses(refusal);
    const first = ask();
    const answer = await first.asked;
    expect(answer.attempts.map(({ kind, error }) => [kind, error])).toEqual([
      ["first", reason],
      ["picture_as_bytes", undefined],
    ]);
    expect(first.onUrlsOff.mock.calls).toEqual([[reason]]);
    expect(ByUrl.isOff(serverOf(model))).toBe(true);
    const second = ask();
    await second.asked;
    expect(second.onUrlsOff).not.toHaveBeenCalled();
    expect(JSON.stringify([answer, first.events])).not.toContain("5ec2e7");
  });

  test("because the picture is gone is not at fault: the reader's error ends the call", async () => {
    refuses(refusals[0]?.[1] as ModelServer.Behavior);
    const { AppError } = await import("#core/error");
    const gone = async () => {
      throw new AppError("conflict", "gone", { details: { reason: "upload_replaced" } });
    };
    const { asked, onUrlsOff } = ask({ onNotFetched: gone });
    const error = await failure(asked);
    expect([error.code, error.details, onUrlsOff.mock.calls.length]).toEqual([
      "conflict",
      { reason: "upload_replaced" },
      0,
    ]);
    expect(ByUrl.isOff(serverOf(model))).toBe(false);
    expect(JSON.stringify(error)).not.toContain("5ec2e7");
  });

  test("and refuses bytes, too, has another problem: URLs are still used", async () => {
    model.respond = () => ModelServer.error(500, "engine dead");
    const { asked, onNotFetched } = ask();
    expect((await failure(asked)).code).toBe("inference_failed");
    expect(onNotFetched).toHaveBeenCalledTimes(1);
    expect(ByUrl.isOff(serverOf(model))).toBe(false);
  });
});

describe("failures that have nothing to do with the URL do not switch to bytes", () => {
  test.each([
    ["overload", ModelServer.error(503, "busy")],
    [
      "a context that is too short",
      ModelServer.error(400, "Input length (11761) exceeds model's maximum context length (4096)."),
    ],
    ["a proxy", ModelServer.html(502)],
    [
      "a schema",
      ModelServer.error(400, "The provided JSON schema contains features not supported by xgrammar."),
    ],
    ["our key", ModelServer.error(401, "Unauthorized")],
  ])("%s", async (_, behavior) => {
    model.respond = () => behavior;
    const { asked, onNotFetched } = ask({ deadline: Date.now() + 300 });
    await failure(asked);
    expect(onNotFetched).not.toHaveBeenCalled();
  });

  test("a picture that the server cannot open is encoded again instead", async () => {
    refuses(ModelServer.error(400, "cannot identify image file <_io.BytesIO object at 0x7f>"));
    const { asked, onNotFetched } = ask({ onPictureRefused: async () => [picture] });
    expect((await asked).attempts.map(({ kind }) => kind)).toEqual(["first", "reencoded_picture"]);
    expect(onNotFetched).not.toHaveBeenCalled();
    expect(ByUrl.isOff(serverOf(model))).toBe(false);
  });
});

test("the fallback ends after ten minutes, because a server may be started anew", async () => {
  refuses(refusals[0]?.[1] as ModelServer.Behavior);
  await ask().asked;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_001 });
  try {
    expect(ByUrl.isOff(serverOf(model))).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});
