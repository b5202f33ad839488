/** The name of a picture in a record or an item. */
interface Name {
  /** With `/` between folders, in Unicode's NFC: macOS uses another form than other systems. */
  path: string;
  base: string;
}

/** A path of any operating system in a comparable form; a leading `./` is dropped. */
export function nameOf(given: string): Name {
  const path = given
    .trim()
    .normalize("NFC")
    .replaceAll("\\", "/")
    .replace(/^(?:\.?\/)+/, "");
  return { path, base: path.slice(path.lastIndexOf("/") + 1) };
}

/** Splits `receipt.jpg#2` into the picture and the document's number; undefined without a number from 1 to 999. */
export function documentOf(name: Name): { name: Name; document: number } | undefined {
  const number = /#([1-9]\d{0,2})$/.exec(name.base)?.[1];
  if (number === undefined) return undefined;
  const cut = (text: string) => text.slice(0, -(number.length + 1));
  return { name: { path: cut(name.path), base: cut(name.base) }, document: Number(number) };
}

/** The key of a document by its picture's path; the first document of a picture has two spellings. */
export function keyOf(image: string): string {
  const name = nameOf(image);
  const part = documentOf(name);
  return part?.document === 1 ? part.name.path : name.path;
}
