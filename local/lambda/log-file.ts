import * as fs from "node:fs";
import { join } from "node:path";

interface LogFile {
  readonly path: string;
  /** The line is on disk when this returns, so that a crash of the loop loses no line. */
  write(line: string): void;
  close(): void;
}

/**
 * Appends lines to `<dir>/ocrlty.log`. A full file is renamed to `ocrlty.log.1` and so on, and the oldest is removed:
 * the folder never holds more than about `(keep + 1) × maxBytes`.
 */
export function open(dir: string, { maxBytes = 10 * 1024 * 1024, keep = 3 } = {}): LogFile {
  fs.mkdirSync(dir, { recursive: true });
  const path = join(dir, "ocrlty.log");
  const append = () => fs.openSync(path, "a", 0o600);
  let file = append();
  let bytes = fs.fstatSync(file).size;
  let closed = false;

  const rotate = () => {
    // Windows renames no open file.
    fs.closeSync(file);
    for (let number = keep; number >= 1; number -= 1) {
      const from = number === 1 ? path : `${path}.${number - 1}`;
      try {
        fs.renameSync(from, `${path}.${number}`);
      } catch {
        // Not there yet, or held open by a reader on Windows: then this file keeps growing.
      }
    }
    file = append();
    bytes = fs.fstatSync(file).size;
  };

  return {
    path,
    write: (line) => {
      if (closed) return;
      const text = Buffer.from(`${line}\n`);
      if (bytes > 0 && bytes + text.length > maxBytes) rotate();
      // One write per line, so that lines of several writers never mix.
      fs.writeSync(file, text);
      bytes += text.length;
    },
    close: () => {
      if (!closed) fs.closeSync(file);
      closed = true;
    },
  };
}
