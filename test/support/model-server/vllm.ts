import sharp from "sharp";
import * as Budget from "#core/image/budget";
import * as ModelServer from "./model-server.ts";

/** A server with the context rules of vLLM 0.32. */
export interface House {
  contextTokens: number;
  /** Characters of the answer per token; default 2. */
  charactersPerToken?: number;
  /** Tokens of the prompt's text; default 1,700. */
  textTokens?: number;
  /** Factor on the tokens that Qwen3-VL counts for a picture; default 1. */
  pictureRatio?: number;
  /** The limit of an answer, whatever the room (`--override-generation-config`). */
  mostTokens?: number;
}

/**
 * Answers with this text as far as `max_tokens` and the context allow: a longer one is cut silently and ends with
 * `length`; a prompt that does not fit, or more than the context, is refused with both numbers.
 */
export async function answer(
  house: House,
  received: ModelServer.Received,
  text: string,
): Promise<ModelServer.Behavior> {
  const { body } = received;
  const { contextTokens, charactersPerToken = 2, textTokens = 1_700, pictureRatio = 1 } = house;
  const asked = Math.min(body.max_tokens ?? contextTokens, house.mostTokens ?? contextTokens);
  if ((body.max_tokens ?? 0) > contextTokens) {
    const parts = [`max_tokens=${body.max_tokens}`, `max_model_len=${contextTokens}`];
    return ModelServer.error(
      400,
      `${parts.join(" cannot be greater than ")}. Please request fewer output tokens.`,
    );
  }
  const pictures = await pictureTokens(received);
  const prompt = textTokens + Math.round(pictures.reduce((sum, tokens) => sum + tokens, 0) * pictureRatio);
  if (prompt > contextTokens) {
    const text = `Input length (${prompt}) exceeds model's maximum context length (${contextTokens}).`;
    return ModelServer.error(400, text);
  }
  const room = Math.min(asked, contextTokens - prompt);
  const needed = Math.ceil(text.length / charactersPerToken);
  const usage = { prompt_tokens: prompt, completion_tokens: Math.min(room, needed) };
  if (needed <= room) return ModelServer.text(text, { usage, chunkCharacters: 512 });
  const cut = text.slice(0, room * charactersPerToken);
  return ModelServer.text(cut, { usage, chunkCharacters: 512, finishReason: "length" });
}

async function tokensOf(bytes: Buffer): Promise<number> {
  const { width, height } = await sizeOf(bytes);
  return Budget.imageTokens(width, height);
}

const pngBegin = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** The size of a PNG by its header; tests may send only that. */
async function sizeOf(bytes: Buffer): Promise<{ width: number; height: number }> {
  if (bytes.subarray(0, 8).equals(pngBegin))
    return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  return sharp(bytes).metadata();
}

/** A picture that consists only of its size. */
export function sizeOnly(width: number, height: number): Buffer {
  const header = Buffer.alloc(17);
  header.write("IHDR", 4, "latin1");
  header.writeUInt32BE(width, 8);
  header.writeUInt32BE(height, 12);
  return Buffer.concat([pngBegin, header]);
}

/** Tokens of each picture of a request, as the server counts them. */
export const pictureTokens = ({ images }: ModelServer.Received): Promise<number[]> =>
  Promise.all(images.map(({ bytes }) => tokensOf(bytes)));

/** A receipt of this many different lines, as an answer of receipt_v1. */
export function receipt(
  lines: number,
): { items: { name: string; price: string }[] } & Record<string, unknown> {
  const items = Array.from({ length: lines }, (_, i) => ({
    name: `ARTIKEL ${String.fromCharCode(65 + (i % 26))}${i * 37} 500G`,
    quantity: null,
    unit_price: null,
    price: `${(i * 7) % 10},${String((i * 31) % 100).padStart(2, "0")}`,
  }));
  return {
    merchant: { name: "BEISPIEL MARKT", address: null, phone: null, tax_id: null },
    receipt_number: null,
    date: null,
    time: null,
    currency: "EUR",
    items,
    totals: {
      subtotal: null,
      discount: null,
      service: null,
      tax: null,
      tip: null,
      rounding: null,
      total: "512,00",
    },
    payment: { method: null, cash: null, card: null, change: null, card_last4: null },
  };
}
