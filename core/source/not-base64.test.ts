import { expect, test } from "vitest";
import { decode } from "./source.ts";

test.each([
  ["curl's @", "@photo.jpg", "is @ and a file's name"],
  ["an address", "https://example.com/secret/photo.jpg", "is an address: image_url is for those"],
  ["a path", "/home/secret/photo.jpg", "is the name of a file"],
  ["a Windows path", "C:\\secret\\photo", "is the path of a file"],
  ["a relative path", "./secret/photo", "is the path of a file"],
  ["a name", "secret.png", "is the name of a file"],
  ["Python's bytes", "b'/9j/secret='", "is how Python shows bytes"],
  ["a command in single quotes", "$(base64 -w0 secret.jpg)", "is a command that no shell ran"],
  ["a placeholder", "<secret>", "is a placeholder"],
  ["JavaScript's object", "[object Blob]", "is an object's name"],
  ["an upload", "upload_3q2W1x9vT0aZ8yB7cD6eF5gH", "is an upload's id: image_ref is for those"],
  ["a file as text", "\ufffd\ufffdsecret\0", "is the file's bytes as text"],
  ["base64 in a query", "secret%2Bsecret%3D", "is percent-encoded"],
  ["base64url", "se_cret-AAAA", "is base64url: write + for -"],
  ["two pictures", "AAAA=secret=", "has more after its end"],
  ["a part", "AAAAA", "is base64 that is cut off"],
  ["words", "no secret pictures1", "is not base64: send what"],
  [
    "a picture whose + became blanks",
    `${"AAAA BBB".repeat(40)}A`,
    "is base64 that is cut off, or whose + became",
  ],
  ["a data URL without base64", "data:image/png,secret", "is a data URL without base64"],
  ["anything else", "secret!", "is not base64: send what `base64 photo.jpg` prints"],
])("image_base64 with %s is refused with this reason, and the value is not repeated", (_, given, told) => {
  const problem = (() => {
    try {
      decode(given);
      return "";
    } catch (thrown) {
      return (thrown as Error).message;
    }
  })();
  expect(problem).toContain(`image_base64: ${told}`);
  expect(problem).not.toContain("secret");
});
