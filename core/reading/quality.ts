import * as z from "zod";
import { type Legibility, legible } from "#core/look/legibility";

/* Whether a picture can be read well: advice to whoever takes pictures, never a refusal. */

export const Quality = z
  .object({
    ok: z.boolean(),
    reasons: z.array(z.enum(["blurred", "dark", "glare", "text_too_small", "cut_off"])).meta({
      description:
        "`blurred`, `dark`, `glare` (text under burnt-out spots), `text_too_small` (letters below 8 pixels in the picture that the model gets), `cut_off` (print goes on beyond a side of the picture).",
    }),
  })
  .meta({
    id: "Quality",
    description: "Whether the picture can be read well. Advice: nothing is refused for it.",
  });
export type Quality = z.output<typeof Quality>;

/**
 * Thresholds between clean photos and worn copies of them, from one half of the photos; docs/documents.md has the error
 * rates on the other half.
 */
const sharp = 0.6;
const bright = 80;
const mostGlare = 0.05;
/** With fewer letters nothing can be measured. */
const leastLetters = 3;

/** @param sent - the size of the picture that the model gets. */
export function qualityOf(legibility: Legibility, sent: { width: number; height: number }): Quality {
  const { letters, letterShare, sharpness, paper, glare, certain, cutOff } = legibility;
  const measured = letters >= leastLetters;
  const faults = {
    blurred: measured && sharpness < sharp,
    dark: paper < bright,
    glare: glare > mostGlare,
    text_too_small: measured && certain && letterShare * Math.max(sent.width, sent.height) < legible,
    cut_off: cutOff,
  };
  return withFaults((reason) => faults[reason]);
}

/** For several pages, each fault that any of them has. */
export function qualityOfAll(pages: readonly Quality[]): Quality {
  return withFaults((reason) => pages.some(({ reasons }) => reasons.includes(reason)));
}

function withFaults(has: (reason: Quality["reasons"][number]) => boolean): Quality {
  const reasons = Quality.shape.reasons.element.options.filter(has);
  return { ok: reasons.length === 0, reasons };
}
