/** `wrong` must be fixed; a `note` may be intended. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "note" | "wrong" | "skipped";
  readonly found: string;
  readonly cure: string | null;
}

export const finding = (
  check: string,
  state: Finding["state"],
  found: string,
  cure: string | null = null,
): Finding => ({ check, state, found, cure });
