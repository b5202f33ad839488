import type { Received } from "#test/support/model-server/model-server";
import * as Vllm from "#test/support/model-server/vllm";
import type { Receipt, Row } from "./receipts.ts";
import * as Tags from "./tags.ts";

/*
 * Scripted model servers for tagged receipts: they know nothing but what the pictures of a call show legibly, and count
 * tokens as vLLM does.
 */

/** perfect: reads every line. drops: passes over some rows. repeats: says rows again where one answer follows another. */
export type Manner = "perfect" | "drops" | "repeats";

export const contextTokens = 8_192;
/** Every so many-th row is passed over. */
const droppedOf = 23;
/** So many rows are said again. */
const repeated = 4;

interface Server {
  answer(request: Received): ReturnType<typeof Vllm.answer>;
  /** Lines that were there but cut or too small, in all pictures. */
  illegible: number;
  calls: number;
}

export function serverOf(receipt: Receipt, manner: Manner): Server {
  const server: Server = {
    calls: 0,
    illegible: 0,
    answer: async (request) => {
      server.calls += 1;
      const numbers: number[] = [];
      for (const { bytes } of request.images) {
        const seen = await Tags.read(bytes);
        numbers.push(...seen.numbers);
        server.illegible += seen.illegible;
      }
      const after = Number(/The first (\d+) entries/.exec(request.prompt)?.[1] ?? 0);
      const said = answerOf(receipt, numbers, manner);
      const from = manner === "repeats" && after > 0 ? Math.max(0, after - repeated) : after;
      return Vllm.answer(
        { contextTokens },
        request,
        JSON.stringify({ ...said, items: said.items.slice(from) }),
      );
    },
  };
  return server;
}

const none = (...names: string[]) => Object.fromEntries(names.map((name) => [name, null]));

function answerOf({ rows, notes, total, number }: Receipt, shown: readonly number[], manner: Manner) {
  const notesShown = shown.flatMap((line) => notes.get(line) ?? []);
  const isShown = (what: string) => notesShown.some(({ is }) => is === what);
  const isDropped = (line: number) =>
    manner === "drops" && number % 2 === 1 && (line + number) % droppedOf === droppedOf - 1;
  const items = shown.flatMap((line): Row[] => {
    const note = notes.get(line);
    if (note?.is === "carried")
      return [{ name: note.name, quantity: null, unit_price: null, price: note.price }];
    const row = rows[line];
    return row === undefined || isDropped(line) ? [] : [row];
  });
  const sum = isShown("total") ? total : null;
  return {
    merchant: { ...none("address", "phone", "tax_id"), name: isShown("head") ? "MARKET CENTRE" : null },
    ...none("receipt_number", "date", "time", "currency"),
    items,
    totals: { ...none("subtotal", "discount", "service", "tax", "tip", "rounding"), total: sum },
    payment: none("method", "cash", "card", "change", "card_last4"),
  };
}
