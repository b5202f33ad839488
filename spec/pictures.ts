/** The media types of pictures that are accepted. */
export const mimeTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/tiff",
  "image/gif",
  "image/heic",
  "image/heif",
  "image/avif",
] as const;
export type MimeType = (typeof mimeTypes)[number];
