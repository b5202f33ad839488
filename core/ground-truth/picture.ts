/** How a record or an item calls a picture. */
interface Name {
  /** With `/` between folders, composed as Unicode's NFC: macOS gives names in another form than the rest. */
  path: string;
  base: string;
}

/** A path of any system as one that can be compared; `./` in front of it is nothing. */
export function nameOf(given: string): Name {
  const path = given
    .trim()
    .normalize("NFC")
    .replaceAll("\\", "/")
    .replace(/^(?:\.?\/)+/, "");
  return { path, base: path.slice(path.lastIndexOf("/") + 1) };
}

/** `receipt.jpg#2` as its picture and which document on it; undefined without a number from 1 to 999. */
export function documentOf(name: Name): { name: Name; document: number } | undefined {
  const number = /#([1-9]\d{0,2})$/.exec(name.base)?.[1];
  if (number === undefined) return undefined;
  const cut = (text: string) => text.slice(0, -(number.length + 1));
  return { name: { path: cut(name.path), base: cut(name.base) }, document: Number(number) };
}
