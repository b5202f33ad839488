import stringWidth from "string-width";
import { expect, it } from "vitest";
import { layout, line, table } from "./table.ts";
import { of, paint } from "./terminal.ts";

const rows = [
  ["RUN", "STATUS", "FILE"],
  ["batch-20261123-101500-x3f9a1", "succeeded", "eine sehr lange Datei mit einem langen Namen.jpg"],
  ["r", "failed", "日本語のレシート 👩‍👩‍👧.jpg"],
];

it("in a file or a pipe every cell is complete, and columns are aligned", () => {
  const text = table(rows, {});
  for (const cell of rows.flat()) expect(text).toContain(cell);
  const [head = "", first = ""] = text.split("\n");
  expect(head.indexOf("STATUS")).toBe(first.indexOf("succeeded"));
});

it.each([120, 80, 60, 58])(
  "on a terminal of %i columns no line is longer, and the first column is complete",
  (columns) => {
    const lines = table(rows, { columns }).trimEnd().split("\n");
    expect(lines).toHaveLength(rows.length);
    for (const each of lines) expect(stringWidth(each)).toBeLessThanOrEqual(columns);
    for (const whole of ["batch-20261123-101500-x3f9a1", "succeeded"]) expect(lines[1]).toContain(whole);
  },
);

it.each([54, 40, 24])(
  "on a terminal of %i columns, too narrow for that, each row is a block, and nothing is cut",
  (columns) => {
    expect(table(rows, { columns })).toBe(`RUN     batch-20261123-101500-x3f9a1
STATUS  succeeded
FILE    eine sehr lange Datei mit einem langen Namen.jpg

RUN     r
STATUS  failed
FILE    日本語のレシート 👩‍👩‍👧.jpg
`);
  },
);

it("the widest columns are cut first, and no character is split", () => {
  const text = table(rows, { columns: 60 });
  expect(text).toContain("succeeded");
  expect(text).toMatch(/…/);
  expect(text.isWellFormed()).toBe(true);
  const narrow = layout(rows, { columns: 30 });
  const lines = rows.map((row) => line(row, narrow));
  for (const each of lines) expect(stringWidth(each)).toBeLessThanOrEqual(31);
  expect(lines.join("")).not.toMatch(/👩(?!‍👩‍👧)/u);
});

it("later rows are cut to the same layout, but only on a terminal", () => {
  const narrow = layout([["a", "b"]], { columns: 80 });
  expect(line(["a long cell", "b"], narrow)).toBe("…  b\n");
  expect(line(["a long cell", "b"], layout([["a", "b"]], {}))).toBe("a long cell  b\n");
});

it("colors are for terminals, and NO_COLOR or TERM=dumb switches them off", () => {
  const tty = { isTTY: true, columns: 90 };
  const pipe = { isTTY: false, columns: 0 };
  expect(of({}, tty, pipe)).toEqual({ columns: 90, colors: { out: true, err: false } });
  for (const env of [{ NO_COLOR: "1" }, { NO_COLOR: "0" }, { TERM: "dumb" }])
    expect(of(env, tty, tty).colors).toEqual({ out: false, err: false });
  expect(of({ NO_COLOR: "" }, tty, tty).colors?.out).toBe(true);
  expect(paint(true, "red", "x")).toBe("\u001b[31mx\u001b[39m");
  expect(paint(false, "red", "x")).toBe("x");
});
