import { createHash } from "node:crypto";
import * as Ocr from "#local/model/ocr";
import type { Answer, Order } from "#local/model/ocr-messages";
import type { Page } from "#local/model/rules/page";

/**
 * The engine in a process of its own: WASM blocks its thread for a second at a time, never releases its memory, and a
 * broken picture may crash the process. The parent sends one `read` at a time.
 */

// The parent has ended, possibly by kill -9: no request waits for an answer.
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the parent decides when this ends.
process.on("SIGINT", () => {});

const engine = Ocr.load();
engine.then(
  () => send({ kind: "ready" }),
  (error) => {
    console.error("The OCR engine cannot be loaded:", error);
    process.exit(1);
  },
);

let running: { id: number; controller: AbortController } | undefined;

process.on("message", (order: Order) => {
  if (order.kind === "cancel") {
    if (running?.id === order.id) running.controller.abort(new Error("canceled"));
    return;
  }
  const controller = new AbortController();
  running = { id: order.id, controller };
  answer(order, controller.signal).then(send);
});

async function answer(order: Extract<Order, { kind: "read" }>, signal: AbortSignal): Promise<Answer> {
  try {
    const { measure, read } = await engine;
    const sizes = await Promise.all(order.pictures.map(measure));
    const imageTokens = sizes.reduce((sum, size) => sum + size.tokens, 0);
    if (imageTokens > order.maxImageTokens) return { kind: "too_long", id: order.id, imageTokens };
    const pages = [];
    for (const picture of order.pictures) pages.push(await readOnce(picture, (bytes) => read(bytes, signal)));
    // Kilobytes on every platform (libuv converts).
    const maxRssBytes = process.resourceUsage().maxRSS * 1024;
    return { kind: "pages", id: order.id, pages, imageTokens, maxRssBytes };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: error instanceof Ocr.PictureError ? "bad_picture" : "failed", id: order.id, message };
  }
}

/** The last pictures, by the hash of their bytes: a long list is asked for in several calls about one picture. */
const known = new Map<string, Page>();
const knownMost = 4;

async function readOnce(picture: Uint8Array, read: (bytes: Uint8Array) => Promise<Page>): Promise<Page> {
  const hash = createHash("sha256").update(picture).digest("hex");
  const page = known.get(hash) ?? (await read(picture));
  known.delete(hash);
  known.set(hash, page);
  for (const oldest of known.keys()) if (known.size > knownMost) known.delete(oldest);
  return page;
}

function send(message: Answer): void {
  if (process.connected) process.send?.(message);
}
