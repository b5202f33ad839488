import { AppError } from "#core/error";
import { sizes } from "#spec/limits";

/** @throws AppError `image_too_large` for a picture of more pixels than are read. */
export function checkMegapixels(width: number, height: number): void {
  const megapixels = (width * height) / 1_000_000;
  if (megapixels <= sizes.imageMegapixels) return;
  throw new AppError(
    "image_too_large",
    `the picture has more than ${sizes.imageMegapixels} megapixels: scale it down, 12 are plenty for a receipt`,
    {
      details: {
        limit_megapixels: sizes.imageMegapixels,
        megapixels: Math.round(megapixels * 10) / 10,
        width,
        height,
      },
    },
  );
}
