/** The caller on whose behalf paths below the data root are resolved. */
export interface Viewer {
  keyId: string;
  /** True with the scope `admin:all_keys`. */
  allKeys: boolean;
}

/** The prefix of pictures that belong to no run: `data/shared/…` and `data/<key_id>/…`. */
export const dataRoot = "data/";

/** S3's limit is 1,024 bytes with the prefix and the root. */
export const maxBytes = 1000;

/**
 * The form of a key as far as a pattern can express it (`shapeProblem` checks the rest): names between slashes, none
 * of them empty, `.` or `..`, without backslashes and control characters.
 */
const other = "/\\\\\\x00-\\x1f\\x7f-\\x9f";
const segment = `([^.${other}]|\\.[^.${other}]|\\.\\.[^${other}])[^${other}]*`;
export const keyPattern = `^${segment}(/${segment})*$`;
/** With a trailing slash: a folder. */
export const folderPattern = `^${segment}(/${segment})*/?$`;

/**
 * What is wrong with a key under the data root; undefined if it is valid. A key consists of names between slashes,
 * relative to the root; the first is `shared` or the viewer's own id (with `admin:all_keys` any id).
 */
export function problem(key: string, viewer: Viewer): string | undefined {
  const shape = shapeProblem(key);
  if (shape !== undefined) return shape;
  if (sees(key, viewer)) return undefined;
  // The bucket's prefix of the root is documented elsewhere, and is easily taken for a part of the name.
  return key.startsWith(dataRoot) && sees(key.slice(dataRoot.length), viewer)
    ? "is below the data root: leave data/ out in front"
    : "only keys under shared/ and under your own key_id are yours to read";
}

/** True if the viewer may read below the first name of a well-formed key. */
function sees(key: string, viewer: Viewer): boolean {
  const [owner] = key.split("/", 1);
  return viewer.allKeys || owner === "shared" || owner === viewer.keyId;
}

/** The other keys in whose folders these keys are, as far as the viewer may see them. */
export function othersIn(keys: readonly string[], viewer: Viewer): string[] {
  const owners = new Set(keys.map((key) => key.split("/", 1)[0] ?? ""));
  return [...owners].filter((owner) => owner !== "shared" && owner !== viewer.keyId);
}

/** What is wrong with the form of a key or path, for any caller; undefined if it is valid. */
export function shapeProblem(key: string): string | undefined {
  if (key === "") return "must not be empty";
  if (/^([/\\]|[A-Za-z]:)/.test(key))
    return "an absolute path is refused: name a key under the data root, such as shared/receipts";
  if (/[\p{Cc}\p{Cs}]/u.test(key)) return "control characters are not allowed";
  if (key.includes("\\")) return "a backslash is not allowed: names are separated by /";
  if (key.split("/").some((name) => name === "" || name === "." || name === ".."))
    return "empty names, '.' and '..' are not allowed";
  if (Buffer.byteLength(key) > maxBytes) return `longer than ${maxBytes} bytes`;
  return undefined;
}
