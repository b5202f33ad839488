const names = /^(?:thumbs\.db|ehthumbs(?:_vista)?\.db|desktop\.ini|\.ds_store|\._.*|icon\r)$/i;
const folders =
  /^(?:__macosx|@eadir|\$recycle\.bin|system volume information|\.spotlight-v100|\.trashes|\.fseventsd)$/i;

/** True if a path is a file that systems and viewers leave beside pictures, such as `Thumbs.db` and `._scan.jpg`. */
export function isSystem(path: string): boolean {
  const parts = path.split("/");
  return names.test(parts.at(-1) ?? "") || parts.slice(0, -1).some((part) => folders.test(part));
}

/** True if a name, or the name of a folder above it, begins with a dot. */
export const isHidden = (path: string): boolean => path.split("/").some((part) => part.startsWith("."));
