const way = "send what `base64 photo.jpg` prints, or the file itself: curl -F file=@photo.jpg";

/** What people send in `image_base64` instead of base64, recognized by its form. The first match is reported. */
const looks: readonly (readonly [RegExp, string])[] = [
  [/^@/, `is @ and a file's name, which only curl's own options read: ${way}`],
  [
    /^https?:\/\//i,
    "is an address: image_url is for those, or upload the picture (POST /v1/uploads) and send its image_ref",
  ],
  [
    /^(?:file:|[a-z]:[\\/]|\\\\|~\/|\.{1,2}\/)/i,
    `is the path of a file, which the server cannot read: ${way}`,
  ],
  [
    /^[^\s,;]{1,300}\.(?:jpe?g|png|webp|tiff?|gif|pdf|heic|bmp)$/i,
    `is the name of a file, which the server cannot read: ${way}`,
  ],
  [/^b'|^b"/, "is how Python shows bytes: make text of them with .decode('ascii')"],
  [/^(?:\$\(|`|%\w+%)/, `is a command that no shell ran, for want of double quotes: ${way}`],
  [/^<[^>]*>$|^\.{3}$|^\u2026$/, `is a placeholder: ${way}`],
  [/^\[object |^(?:undefined|null|None|NaN)$/, `is an object's name, not its bytes: ${way}`],
  [/^upload_/, "is an upload's id: image_ref is for those"],
  [/(?![\t\n\r])\p{Cc}|\ufffd|^(?:GIF8|RIFF|%PDF)/u, `is the file's bytes as text, not their base64: ${way}`],
  [/%[0-9a-f]{2}/i, "is percent-encoded: leave that out"],
  [/^[\w-]*[-_][\w-]*=*$/, "is base64url: write + for - and / for _"],
  [/=[^=]/, "has more after its end: send one picture, encoded as a whole"],
];

/** No picture is shorter in base64. */
const shortest = 64;

/**
 * Explains what is wrong with an invalid `image_base64`, and what to send instead. The value itself is not repeated.
 */
export function problemOf(text: string): string {
  const head = text.slice(0, 4096).trim();
  const known = looks.find(([pattern]) => pattern.test(head));
  if (known !== undefined) return known[1];
  // Distinguishes words from base64 that lost its `+`: the base64 of a picture is long.
  const isWords = text.trim().length < shortest && /[^\S\r\n]/.test(text.trim());
  return !isWords &&
    /^[A-Za-z0-9+/\s]+={0,2}$/.test(text.slice(0, 4096)) &&
    /^[A-Za-z0-9+/\s]*={0,2}$/.test(text.slice(-4096))
    ? "is base64 that is cut off, or whose + became blanks: send it whole, in JSON or a form"
    : `is not base64: ${way}`;
}
