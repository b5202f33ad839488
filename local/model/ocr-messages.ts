import type { Page } from "#local/model/rules/page";

/** To the OCR process. Pictures travel as bytes (`serialization: "advanced"`). */
export type Order =
  | { kind: "read"; id: number; pictures: Uint8Array[]; maxImageTokens: number }
  | { kind: "cancel"; id: number };

/** From the OCR process: exactly one per `read`, and one `ready` at the start. */
export type Answer =
  | { kind: "ready" }
  | { kind: "pages"; id: number; pages: Page[]; imageTokens: number; maxRssBytes: number }
  | { kind: "bad_picture"; id: number; message: string }
  | { kind: "too_long"; id: number; imageTokens: number }
  | { kind: "failed"; id: number; message: string };
