import * as Walk from "./walk.ts";

/*
 * Tells whether a JPEG's color profile is sRGB, so that it may be left out. Most profiles in photos and scans do, under
 * many names and in many sizes, so the primaries and the curve are compared.
 */

const app2 = 0xe2;
const signature = "ICC_PROFILE\0";

type Profile = "none" | "srgb" | "other";

/** The profile of a JPEG; "other" for one in several parts, or that is not understood. */
export function profileOf(bytes: Uint8Array): Profile {
  let found: Profile = "none";
  for (const { marker, data } of Walk.jpegSegments(bytes)) {
    if (marker === Walk.marker.sos) break;
    if (marker !== app2 || !latin1(data, 0, signature.length).startsWith(signature)) continue;
    // Number of this part, and of all (ICC.1:2022, annex B.4).
    const isWhole = data[signature.length] === 1 && data[signature.length + 1] === 1;
    if (found !== "none" || !isWhole || !isSrgb(data.subarray(signature.length + 2))) return "other";
    found = "srgb";
  }
  return found;
}

/** Red, green and blue of sRGB under the white of profiles, D50 (IEC 61966-2-1, adapted by Bradford's matrix). */
const primaries = { r: [0.4361, 0.2225, 0.0139], g: [0.3851, 0.7169, 0.0971], b: [0.1431, 0.0606, 0.7141] };
const primaryWithin = 0.002;
/** Linear light of a signal of one half: 0.214 for sRGB, 0.218 for a gamma of 2.2. */
const half = { light: 0.214, within: 0.008 };

function isSrgb(profile: Uint8Array): boolean {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength);
  try {
    if (latin1(profile, 16, 8) !== "RGB XYZ ") return false;
    const tags = new Map<string, number>();
    for (let n = 0; n < Math.min(view.getUint32(128), 100); n += 1)
      tags.set(latin1(profile, 132 + 12 * n, 4), view.getUint32(136 + 12 * n));
    // A table of colors counts before primaries and curves.
    if (tags.has("A2B0")) return false;
    return (["r", "g", "b"] as const).every((color) => {
      const [at, curve] = [tags.get(`${color}XYZ`), tags.get(`${color}TRC`)];
      if (at === undefined || curve === undefined) return false;
      const near = (value: number, i: number) =>
        Math.abs(view.getInt32(at + 8 + 4 * i) / 65_536 - value) <= primaryWithin;
      return primaries[color].every(near) && Math.abs(atHalf(view, curve) - half.light) <= half.within;
    });
  } catch (thrown) {
    // A tag that points outside of the profile.
    if (thrown instanceof RangeError) return false;
    throw thrown;
  }
}

/** The light of a signal of one half by a curve of the profile (ICC.1:2022, 10.6 and 10.18); NaN for another kind. */
function atHalf(view: DataView, at: number): number {
  const kind = view.getUint32(at);
  if (kind === 0x63757276) {
    const count = view.getUint32(at + 8);
    if (count === 0) return 0.5;
    if (count === 1) return 0.5 ** (view.getUint16(at + 12) / 256);
    return view.getUint16(at + 12 + 2 * Math.round((count - 1) / 2)) / 65_535;
  }
  if (kind !== 0x70617261) return Number.NaN;
  const number = (i: number) => view.getInt32(at + 12 + 4 * i) / 65_536;
  const form = view.getUint16(at + 8);
  if (form === 0) return 0.5 ** number(0);
  return form === 3 ? (number(1) * 0.5 + number(2)) ** number(0) : Number.NaN;
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1", at, at + length);
}
