/** The media types of pictures and documents that are accepted. */
export const mimeTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/tiff",
  "image/gif",
  "image/heic",
  "image/heif",
  "image/avif",
  "application/pdf",
] as const;
export type MimeType = (typeof mimeTypes)[number];
