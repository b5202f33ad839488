/*
 * HEIC and AVIF name their colors by code points (`nclx`, ITU-T H.273) where they have no ICC profile. The decoders give
 * the samples as they are; an ICC profile made of the code points has them converted to sRGB like any other picture's.
 */

/** Red, green, blue and white, each x and y. */
type Chromaticities = readonly [Point, Point, Point, Point];
type Point = readonly [number, number];
type Row = readonly [number, number, number];
type Matrix = readonly [Row, Row, Row];

const d65: Point = [0.3127, 0.329];
/** ITU-T H.273, table 2: those that a viewer shows otherwise than sRGB. */
const wide: Readonly<Record<number, Chromaticities>> = {
  9: [[0.708, 0.292], [0.17, 0.797], [0.131, 0.046], d65],
  11: [
    [0.68, 0.32],
    [0.265, 0.69],
    [0.15, 0.06],
    [0.314, 0.351],
  ],
  12: [[0.68, 0.32], [0.265, 0.69], [0.15, 0.06], d65],
};
const srgbPrimaries: Chromaticities = [[0.64, 0.33], [0.3, 0.6], [0.15, 0.06], d65];

/** Of ITU-R BT.2408: paper is as bright as this; a highlight above it is as white as paper. */
const paperNits = 203;
const pqPeakNits = 10_000;
/** Signal of Hybrid Log-Gamma at paper white (BT.2408, table 1). */
const hlgPaper = 0.75;

/** Linear light of a signal, 1 for paper (ITU-T H.273, table 3). Television's curves are shown with that of sRGB. */
const curves: Readonly<Record<number, (signal: number) => number>> = {
  4: (signal) => signal ** 2.2,
  5: (signal) => signal ** 2.8,
  8: (signal) => signal,
  16: (signal) => (pq(signal) * pqPeakNits) / paperNits,
  18: (signal) => hlg(signal) / hlg(hlgPaper),
};

const srgb = (signal: number) => (signal <= 0.04045 ? signal / 12.92 : ((signal + 0.055) / 1.055) ** 2.4);

/** SMPTE ST 2084, equation 4.1. */
function pq(signal: number): number {
  const power = signal ** (32 / 2523);
  return (Math.max(power - 107 / 128, 0) / (2413 / 128 - (2392 / 128) * power)) ** (16_384 / 2610);
}

/** ITU-R BT.2100, table 5. */
function hlg(signal: number): number {
  const [a, b, c] = [0.17883277, 0.28466892, 0.55991073];
  return signal <= 0.5 ? signal ** 2 / 3 : (Math.exp((signal - c) / a) + b) / 12;
}

/** An ICC profile of these code points; undefined where a viewer shows the samples as sRGB. */
export function iccOf(nclx: { primaries: number; transfer: number }): Uint8Array | undefined {
  const primaries = wide[nclx.primaries];
  const curve = curves[nclx.transfer];
  if (primaries === undefined && curve === undefined) return undefined;
  return icc(primaries ?? srgbPrimaries, curve ?? srgb);
}

const curveSteps = 1024;

/** A profile of three primaries and one curve (ICC.1:2022, 8.3.3). */
function icc(primaries: Chromaticities, curve: (signal: number) => number): Buffer {
  const columns = toD50(primaries);
  const text = Buffer.from("made of nclx", "utf16le").swap16();
  const words = tag("mluc", 20 + text.length, (data) => {
    for (const [i, value] of [1, 12, 0x656e5553, text.length, 28].entries()) data.writeUInt32BE(value, 4 * i);
    data.set(text, 20);
  });
  const xyz = (values: Row) =>
    tag("XYZ ", 12, (data) => {
      for (const [i, value] of values.entries()) data.writeInt32BE(Math.round(value * 65_536), 4 * i);
    });
  const shape = tag("curv", 4 + 2 * curveSteps, (data) => {
    data.writeUInt32BE(curveSteps, 0);
    for (let i = 0; i < curveSteps; i += 1) {
      const light = Math.min(1, Math.max(0, curve(i / (curveSteps - 1))));
      data.writeUInt16BE(Math.round(light * 65_535), 4 + 2 * i);
    }
  });
  const column = (i: 0 | 1 | 2): Row => [columns[0][i], columns[1][i], columns[2][i]];
  return profile([
    ...([
      ["desc", words],
      ["cprt", words],
      ["wtpt", xyz(d50)],
    ] as const),
    ...([
      ["rXYZ", xyz(column(0))],
      ["gXYZ", xyz(column(1))],
      ["bXYZ", xyz(column(2))],
    ] as const),
    ...([
      ["rTRC", shape],
      ["gTRC", shape],
      ["bTRC", shape],
    ] as const),
  ]);
}

function tag(type: string, length: number, fill: (data: Buffer) => void): Buffer {
  const made = Buffer.alloc(8 + Math.ceil(length / 4) * 4);
  made.write(type, "latin1");
  fill(made.subarray(8));
  return made;
}

const headerBytes = 128;

function profile(tags: readonly (readonly [string, Buffer])[]): Buffer {
  const table = Buffer.alloc(4 + 12 * tags.length);
  table.writeUInt32BE(tags.length);
  const places = new Map<Buffer, number>();
  let end = headerBytes + table.length;
  for (const [i, [name, data]] of tags.entries()) {
    if (!places.has(data)) {
      places.set(data, end);
      end += data.length;
    }
    table.write(name, 4 + 12 * i, "latin1");
    table.writeUInt32BE(places.get(data) ?? 0, 8 + 12 * i);
    table.writeUInt32BE(data.length, 12 + 12 * i);
  }
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(end, 0);
  header.writeUInt32BE(0x04300000, 8);
  header.write("mntrRGB XYZ ", 12, "latin1");
  header.write("acsp", 36, "latin1");
  for (const [i, value] of d50.entries()) header.writeInt32BE(Math.round(value * 65_536), 68 + 4 * i);
  return Buffer.concat([header, table, ...places.keys()]);
}

/** White of the profile connection space. */
const d50: Row = [0.9642, 1, 0.8249];
/** Bradford's matrix (ICC.1:2022, annex E.3). */
const bradford: Matrix = [
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
];

/** The matrix from linear RGB to XYZ under D50. */
function toD50([red, green, blue, white]: Chromaticities): Matrix {
  const xyz = ([x, y]: Point): Row => [x / y, 1, (1 - x - y) / y];
  const [r, g, b] = [xyz(red), xyz(green), xyz(blue)];
  const columns: Matrix = [
    [r[0], g[0], b[0]],
    [r[1], g[1], b[1]],
    [r[2], g[2], b[2]],
  ];
  const scale = applied(inverse(columns), xyz(white));
  const [from, to] = [applied(bradford, xyz(white)), applied(bradford, d50)];
  const cones: Matrix = [
    [to[0] / from[0], 0, 0],
    [0, to[1] / from[1], 0],
    [0, 0, to[2] / from[2]],
  ];
  const adapted = multiplied(multiplied(inverse(bradford), cones), bradford);
  const scaled = columns.map((row) => row.map((value, i) => value * (scale[i] ?? 0)));
  return multiplied(adapted, scaled as unknown as Matrix);
}

const applied = (matrix: Matrix, [x, y, z]: Row): Row => {
  const row = (i: 0 | 1 | 2) => matrix[i][0] * x + matrix[i][1] * y + matrix[i][2] * z;
  return [row(0), row(1), row(2)];
};

function multiplied(a: Matrix, b: Matrix): Matrix {
  const columns = ([0, 1, 2] as const).map((i) => applied(a, [b[0][i], b[1][i], b[2][i]]));
  return ([0, 1, 2] as const).map((i) => columns.map((column) => column[i])) as unknown as Matrix;
}

function inverse([[a, b, c], [d, e, f], [g, h, i]]: Matrix): Matrix {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [(e * i - f * h) / determinant, (c * h - b * i) / determinant, (b * f - c * e) / determinant],
    [(f * g - d * i) / determinant, (a * i - c * g) / determinant, (c * d - a * f) / determinant],
    [(d * h - e * g) / determinant, (b * g - a * h) / determinant, (a * e - b * d) / determinant],
  ];
}
