import { afterEach, describe, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import * as Hanging from "#core/document/fixtures/hanging";
import { AppError } from "#core/error";
import { inspect } from "#test/support/inspect";
import { png } from "#test/support/picture-parts";

/** A test decoder that hangs or crashes at pictures of certain widths, and is the real one for all others. */

/** Long enough for a process to start on a busy machine. */
const limitMs = 4_000;
const decoders: Decoder[] = [];
const decoder = (limit = limitMs) => {
  const made = new Decoder({ program: async () => Hanging.url, limitMs: limit });
  decoders.push(made);
  return made;
};
afterEach(() => {
  for (const each of decoders.splice(0)) each.end();
});

const wide = (width: number) => png({ width, height: 16 });
const read = async (by: Decoder, width: number, signal?: AbortSignal) => {
  const image = await inspect(wide(width), { decoder: by });
  return await Document.prepare(image, { maxImageTokens: 256, signal });
};
const failure = async (promise: Promise<unknown>): Promise<AppError> => {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(AppError);
  return thrown as AppError;
};
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("native work ends when its time is over", () => {
  for (const hang of ["hangs", "hangsDeaf"] as const) {
    test(`a decoder that ${hang} is ended at the limit, for good, and the next picture is read by another`, async () => {
      const by = decoder();
      await read(by, 100);
      const { pid } = by;
      const error = await failure(read(by, Hanging.widths[hang]));
      expect([error.code, error.status, error.retry, error.details]).toEqual([
        "invalid_image",
        400,
        false,
        { reason: "decoding_took_too_long", limit_ms: limitMs },
      ]);
      await expect.poll(() => isAlive(pid as number)).toBe(false);
      expect(await read(by, 100)).toMatchObject({ width: 100 });
      expect(by.pid).not.toBe(pid);
    });
  }

  test("an abort ends the work, with the caller's own error where it gave one", async () => {
    const by = decoder(60_000);
    await read(by, 100);
    const { pid } = by;
    const controller = new AbortController();
    const reading = failure(read(by, Hanging.widths.hangs, controller.signal));
    const reason = new AppError("conflict", "canceled");
    setTimeout(() => controller.abort(reason), 50);
    expect(await reading).toBe(reason);
    await expect.poll(() => isAlive(pid as number)).toBe(false);
  });

  test("a waiting caller may give up, and the others are served in order", async () => {
    const by = decoder();
    await read(by, 100);
    const stuck = failure(read(by, Hanging.widths.hangs));
    const gaveUp = failure(read(by, 200, AbortSignal.timeout(1)));
    const served = read(by, 300);
    expect((await stuck).details?.reason).toBe("decoding_took_too_long");
    expect((await gaveUp).code).toBe("inference_timeout");
    expect(await served).toMatchObject({ width: 300 });
  });
});

describe("a process that ends", () => {
  test("by itself, twice at the same picture: the picture cannot be decoded, others can", async () => {
    const by = decoder(20_000);
    const error = await failure(read(by, Hanging.widths.crashes));
    expect([error.code, error.retry, error.details]).toEqual([
      "invalid_image",
      false,
      { reason: "decoder_crashed" },
    ]);
    expect(await read(by, 100)).toMatchObject({ width: 100 });
  });

  test.skipIf(process.platform === "win32")("from outside, between two orders: no call fails", async () => {
    const by = decoder(20_000);
    const image = await inspect(wide(100), { decoder: by });
    process.kill(by.pid as number, "SIGKILL");
    expect(await Document.prepare(image, { maxImageTokens: 256 })).toMatchObject({ width: 100 });
  });

  test("before it is ready: this is our fault, not the picture's", async () => {
    const program = async () => "data:text/javascript,export const serve = () => process.exit(1)";
    const by = new Decoder({ program });
    const error = await failure(inspect(wide(100), { decoder: by }));
    by.end();
    expect([error.code, error.retry]).toEqual(["internal", true]);
  });
});

test("the decoder's process gets no settings, secrets or credentials of a role", async () => {
  const serve = `export function serve() {
    process.on("message", ({ id }) => process.send({ id, ok: false, cause: Object.keys(process.env).join() }));
  }`;
  const by = new Decoder({ program: async () => `data:text/javascript,${encodeURIComponent(serve)}` });
  process.env.AWS_SECRET_ACCESS_KEY ??= "";
  const error = await failure(inspect(wide(100), { decoder: by }));
  by.end();
  expect((error.cause as Error).message).toMatch(
    /^((PATH|TMPDIR|NODE_CHANNEL\w+|LD_LIBRARY_PATH|[a-z]+),?)+$/i,
  );
  expect((error.cause as Error).message).not.toMatch(/AWS|NODE_OPTIONS|VITEST/);
});
