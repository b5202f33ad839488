/** The abilities of a terminal, and the settings of its user. */
import type { Context } from "./context.ts";

const codes = { red: [31, 39], green: [32, 39], yellow: [33, 39], bold: [1, 22] } as const;
export type Style = keyof typeof codes;

/** The text in a color, if colors are switched on. It must be safe for a terminal already (text.ts). */
export function paint(isWanted: boolean | undefined, style: Style, text: string): string {
  const [on, off] = codes[style];
  return isWanted ? `\u001b[${on}m${text}\u001b[${off}m` : text;
}

type Stream = Pick<NodeJS.WriteStream, "isTTY" | "columns">;

/**
 * Width and colors of this process's terminal. `NO_COLOR` with any text in it switches colors off
 * (https://no-color.org), and so does TERM=dumb.
 */
export function of(env: Context["env"], stdout: Stream, stderr: Stream): Pick<Context, "columns" | "colors"> {
  const isPlain = (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  return {
    columns: stdout.isTTY ? stdout.columns : undefined,
    colors: { out: stdout.isTTY && !isPlain, err: stderr.isTTY && !isPlain },
  };
}
