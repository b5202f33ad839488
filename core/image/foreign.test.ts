import { describe, expect, test } from "vitest";
import { foreign, lookBytes } from "#core/image/foreign";
import { sniff } from "#core/image/type";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const ftyp = (brand: string) => latin1(`\0\0\0\x18ftyp${brand}\0\0\0\0mif1`);
const png = latin1("\x89PNG\r\n\x1a\n\0\0\0\rIHDR");

describe("bytes of another kind of file are named by that kind, with advice", () => {
  test.each([
    [ftyp("mif3"), "a HEIF picture in its compact form:"],
    [ftyp("crx "), "a camera's raw file:"],
    [ftyp("qt  "), "a QuickTime video, such as the moving part of a Live Photo:"],
    ["\0\0\0\x08wide\0\0\0\0mdat", "a QuickTime video,"],
    // A video, although its compatible brands include a picture's.
    [ftyp("mp42"), "a video:"],
    [ftyp("isom"), "a video:"],
    ["PK\x03\x04\x14\0\x06\0[Content_Types].xml..word/document.xml", "a Word document:"],
    ["PK\x03\x04\x14\0\x06\0xl/workbook.xml", "an Excel workbook:"],
    ["PK\x03\x04\x14\0photos.jpg", "a ZIP archive, or an Office document"],
    ["\x1f\x8b\x08\0", "compressed with gzip"],
    ["\xd0\xcf\x11\xe0\xa1\xb1", "an old Office document"],
    ["BM\x36\0\x0c\0\0\0\0\0\x36\0", "a Windows bitmap"],
    ["8BPS\0\x01", "a Photoshop file"],
    ["AT&TFORM", "a DjVu document"],
    ["%!PS-Adobe-3.0", "PostScript"],
    ["{\\rtf1\\ansi", "an RTF document"],
    ["RIFF\0\0\0\0WAVE", "a sound or video file"],
    ["\x89PNG\n\x1a\n\0\0\0\rIHDR", "a PNG whose line ends were changed"],
    [Buffer.from(png.toString("utf8"), "utf8"), "a file that was read as text on its way"],
    [
      Buffer.from(latin1("\xff\xd8\xff\xe0\0\x10JFIF").toString("utf8"), "utf8"),
      "a file that was read as text on its way",
    ],
    [Buffer.alloc(5_000), "nothing but zeros"],
    ['<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x">', "an SVG drawing"],
    ["<svg width='1'>", "an SVG drawing"],
    ["<!DOCTYPE html><html>", "an HTML page, such as a login or error page"],
    ['<?xml version="1.0"?><Error><Code>AccessDenied', "XML, such as a bucket's error"],
    ["data:image/png;base64,iVBORw0KGgo=", "a data: URL as text"],
    ["https://example.com/a.jpg", "an address as text"],
    ["version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"],
    [png.toString("base64"), "base64 as text"],
    ["/9j/4AAQSkZJRg==", "base64 as text"],
    ['{"image_base64":"x"}', "JSON"],
    ["--x\r\nContent-Disposition: form-data; name=a", "a form, sent as a file"],
    [Buffer.from("\ufeffQuittung für Käse €", "utf8"), "text"],
    [Buffer.from(`${"a".repeat(lookBytes - 1)}€`, "utf8"), "text"],
    [Buffer.from("\ufeffx", "utf16le"), "text in UTF-16"],
  ])("%#", (bytes, told) => {
    const given = typeof bytes === "string" ? latin1(bytes) : bytes;
    expect(sniff(given)).toBeUndefined();
    expect(foreign(given)).toMatch(new RegExp(`^(?:${told.replace(/[()+]/g, "\\$&")})`));
  });

  test("bytes of an unknown kind are not named", () => {
    expect(foreign(latin1("\x01\x02\x03\x99\x00\x81ab"))).toBeUndefined();
    expect(foreign(new Uint8Array())).toBeUndefined();
  });

  test("hostile first bytes are judged fast", () => {
    const began = performance.now();
    for (const text of ["<?xml".repeat(300), "<!--".repeat(300), "PK\x03\x04".repeat(300)])
      foreign(latin1(text));
    expect(performance.now() - began).toBeLessThan(200);
  });
});
