import { describe, expect, test } from "vitest";
import { type Fault, fromAnswer, parseContextTooLong, parseRetryAfter } from "#core/vision/fault";
import { classify, suspect } from "#core/vision/verdict";
import * as ModelServer from "#test/support/model-server/model-server";
import { notThePicture } from "#test/support/model-server/too-long";

const none = new Headers();
const body = (message: string) => JSON.stringify({ error: { message, type: "BadRequestError", code: 400 } });

describe("context too long", () => {
  test.each(Object.entries(ModelServer.contextTooLong))(
    "%s is recognized, with its numbers",
    (name, text) => {
      const expected: Record<string, object> = {
        vllmOldMaxTokens: { overBy: 809 },
        llamaCpp: {},
      };
      expect(parseContextTooLong(text)).toEqual(expected[name] ?? { maxModelLen: 8192, promptTokens: 9000 });
    },
  );

  test.each([
    ["textAlone", { maxModelLen: 4096, only: "text" }],
    ["characters", { maxModelLen: 4096, only: "text" }],
    ["answerAlone", { maxModelLen: 4096, only: "answer", clips: true }],
    ["stoppedByAnswer", { maxModelLen: 4096, only: "answer" }],
  ] as const)("%s: numbers that are not the prompt's length are not taken for it", (name, expected) => {
    expect(parseContextTooLong(notThePicture[name])).toEqual(expected);
    expect(fromAnswer(400, none, body(notThePicture[name]), 0).contextTooLong).toEqual(expected);
  });

  test("an exact length of the text alone is kept", () => {
    const text = notThePicture.textAlone.replace("at least 4097", "5120");
    expect(parseContextTooLong(text)).toEqual({ maxModelLen: 4096, promptTokens: 5120, only: "text" });
  });

  test("llama.cpp's numbers beside its text are read", () => {
    const answer = JSON.stringify({
      error: {
        code: 400,
        message: "request exceeds",
        type: "exceed_context_size_error",
        n_prompt_tokens: 9000,
        n_ctx: 8192,
      },
    });
    expect(fromAnswer(400, none, answer, 0).contextTooLong).toEqual({
      maxModelLen: 8192,
      promptTokens: 9000,
    });
  });

  test("other refusals are not taken for it", () => {
    for (const message of [
      "Grammar error: unsupported pattern",
      "Failed to load image: cannot identify image file",
      "temperature must be non-negative",
    ]) {
      expect(fromAnswer(400, none, body(message), 0).contextTooLong).toBeUndefined();
    }
  });
});

describe("a picture that was refused", () => {
  test.each([
    "cannot identify image file <_io.BytesIO object at 0x7f21>",
    "image file is truncated (46 bytes not processed)",
    "broken data stream when reading image file",
    "unrecognized data stream contents when reading image file",
    "broken PNG file (chunk b'tEXt')",
    "Decompressed Data Too Large",
    "Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK",
    "Too much memory used in text chunks: 67108900>MAX_TEXT_MEMORY",
    "Image size (268435456 pixels) exceeds limit of 178956970 pixels, could be decompression bomb DOS attack.",
    "Failed to apply Qwen3VLProcessor on data={'text': …} with kwargs={}",
    "Failed to load image: bytes",
    "failed to decode image bytes",
    "Invalid image data",
  ])("%s", (message) => {
    for (const status of [400, 422]) {
      expect(fromAnswer(status, none, body(message), 0).pictureRefused).toBe(true);
    }
  });

  test("is not seen in other refusals, nor in a context that is too long", () => {
    const others = [
      "The provided JSON schema contains features not supported by xgrammar.",
      "At most 1 image(s) may be provided in one prompt.",
      "max_tokens=5000 cannot be greater than max_model_len=4096.",
      ...Object.values(ModelServer.contextTooLong),
    ];
    for (const message of others) {
      expect([message, fromAnswer(400, none, body(message), 0).pictureRefused]).toEqual([message, undefined]);
    }
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-23T10:00:00Z");
  test.each([
    ["3", 3_000],
    [" 0 ", 0],
    ["1.5", 1_500],
    ["86400", 60_000],
    ["Mon, 23 Nov 2026 10:00:07 GMT", 7_000],
    ["Mon, 23 Nov 2026 09:00:00 GMT", 0],
    ["Tue, 24 Nov 2026 10:00:00 GMT", 60_000],
  ])("%s", (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });
  test.each(["soon", "", "-", "NaN"])("unreadable: %s", (value) => {
    expect(parseRetryAfter(value, now)).toBeUndefined();
  });
});

describe("the verdict", () => {
  const html = "<!DOCTYPE html><html><body>Bad gateway</body></html>";
  const own = body("engine is dead");

  test.each([404, 408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530])(
    "a proxy's %i is an outage",
    (status) => {
      for (const text of [html, "", "error code: 524", '"text"', "[]"]) {
        expect(classify(fromAnswer(status, none, text, 0))).toBe("outage");
      }
    },
  );

  test("the model server's own 429 and 503 are overload; its 408, 425 and other 5xx count against the item", () => {
    for (const status of [429, 503]) expect(classify(fromAnswer(status, none, own, 0))).toBe("overload");
    for (const status of [408, 425, 500, 502, 504])
      expect(classify(fromAnswer(status, none, own, 0))).toBe("item");
    expect(classify(fromAnswer(500, none, "Internal Server Error", 0))).toBe("item");
  });

  test("requests that are never accepted are `refused`, also by a proxy", () => {
    for (const status of [400, 404, 413, 415, 422])
      expect(classify(fromAnswer(status, none, own, 0))).toBe("refused");
    for (const status of [400, 413]) expect(classify(fromAnswer(status, none, html, 0))).toBe("refused");
  });

  test("a missing model, and a refused API key, are outages", () => {
    const missing = body("The model `Qwen/Qwen3-VL-8B-Instruct` does not exist.");
    expect(classify(fromAnswer(404, none, missing, 0))).toBe("outage");
    expect(classify(fromAnswer(503, none, '{"error":{"message":"Loading model","code":503}}', 0))).toBe(
      "outage",
    );
    for (const status of [401, 403]) expect(classify(fromAnswer(status, none, own, 0))).toBe("outage");
  });

  test("a page with status 200 is an outage, JSON with status 200 is a server that cannot stream", () => {
    expect(classify(fromAnswer(200, none, html, 0))).toBe("outage");
    expect(classify(fromAnswer(200, none, '{"choices":[]}', 0))).toBe("refused");
  });

  test("connection faults and silence are outages; a used-up time budget counts against the item", () => {
    const fault = (kind: Fault["kind"]): Fault => ({ kind, afterSend: true });
    for (const kind of ["dns", "refused", "tls", "connect_timeout", "reset", "silence"] as const) {
      expect(classify(fault(kind))).toBe("outage");
    }
    for (const kind of ["deadline", "aborted", "unfinished"] as const)
      expect(classify(fault(kind))).toBe("item");
  });

  test("only a connection lost after the request was sent makes a picture a suspect", () => {
    expect(suspect({ kind: "reset", afterSend: true })).toBe(true);
    expect(suspect({ kind: "unfinished", afterSend: true })).toBe(true);
    expect(suspect(fromAnswer(502, none, html, 0))).toBe(true);
    expect(suspect({ kind: "reset", afterSend: false })).toBe(false);
    for (const kind of ["refused", "dns", "silence", "deadline"] as const)
      expect(suspect({ kind, afterSend: kind !== "refused" && kind !== "dns" })).toBe(false);
    for (const status of [404, 503, 524]) expect(suspect(fromAnswer(status, none, html, 0))).toBe(false);
    expect(suspect(fromAnswer(502, none, own, 0))).toBe(false);
  });

  test("a field that the server refuses is named, whatever the message", () => {
    const named = (message: string) => fromAnswer(400, none, body(message), 0).unknownFields;
    expect(named("Unrecognized request argument supplied: seed")).toEqual(["seed"]);
    expect(
      named(
        "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted'}]",
      ),
    ).toEqual(["stream_options"]);
    expect(named("'response_format.type' : json_schema is not supported")).toEqual(["response_format"]);
    expect(named("The provided JSON schema contains features not supported by xgrammar.")).toBeUndefined();
    expect(named("seed must be an integer")).toBeUndefined();
  });
});
