import * as Budget from "#core/image/budget";
import * as Vision from "#core/vision/vision";
import * as Asking from "./asking.ts";
import type * as ModelServer from "./model-server.ts";
import * as Vllm from "./vllm.ts";

export interface Wish {
  maxModelLen?: number;
  maxTokens?: number;
  mostTokens?: number;
  usualTokens?: number;
  maxPixels?: number;
  /** The size of the page. */
  size?: [number, number];
}

/** Asks about a page of A4, or another size, as the product does. */
export async function ask(model: ModelServer.ModelServer, wish: Wish = {}) {
  const [width, height] = wish.size ?? [2480, 3508];
  const room = await Vision.Room.open({
    server: { ...Asking.serverOf(model), maxModelLen: wish.maxModelLen, maxPixels: wish.maxPixels },
    promptTokens: 1_974,
    maxTokens: wish.maxTokens ?? 3_584,
    mostTokens: wish.mostTokens,
    usualTokens: wish.usualTokens,
    prepare: async (tokens) => {
      const size = Budget.sizeWithin(width, height, tokens);
      const bytes = Vllm.sizeOnly(size.width, size.height);
      return [{ ...size, bytes, mimeType: "image/png", changed: true }];
    },
  });
  return Asking.ask(model, { room }, { ...room.fit });
}
