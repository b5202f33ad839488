/** The parts of each command's `--help` besides its options: examples and exit statuses. */
import type { Command, Option } from "commander";

interface Help {
  /** Explains what the list of options does not. */
  readonly about?: string;
  /** Whole command lines, as they are typed in a checkout. */
  readonly examples: readonly string[];
  /** Status → when; `interrupted` is added for commands that wait. */
  readonly exits: Readonly<Partial<Record<0 | 1 | 2 | 130, string>>>;
}

/** For commands that call a server. */
export const callExits = { 0: "done", 2: "usage, server or network", 130: "interrupted" } as const;

export function add(command: Command, { about = "", examples, exits }: Help): Command {
  const statuses = Object.entries(exits).map(([status, when]) => `${status} ${when}`);
  return command.addHelpText(
    "after",
    `${about === "" ? "" : `\n${about.trim()}\n`}
Example${examples.length === 1 ? "" : "s"}:
${examples.map((line) => `  ${line}`).join("\n")}

Exit status: ${statuses.join(", ")}.`,
  );
}

/** Options that a command cannot do without say so. */
export function describe(option: Option): string {
  const { mandatory, description, argChoices, defaultValue } = option;
  return [
    mandatory ? `required: ${description}` : description,
    ...(argChoices === undefined ? [] : [`(${argChoices.join(", ")})`]),
    ...(typeof defaultValue === "string" && defaultValue !== "" ? [`(default: ${defaultValue})`] : []),
  ].join(" ");
}

const inCheckout = /\bnpm run (?:-s )?(ocrlty|extract|keys|smoke) -- /g;

/**
 * Command lines in a text as they must be typed here: `npm run extract -- a.jpg` of a checkout is `ocrlty extract
 * a.jpg` if the program is called by its own name.
 * @param name - such as `npx ocrlty`; undefined to leave them unchanged.
 * @param isClient - true without a checkout and its files.
 */
export function typed(text: string, name: string | undefined, isClient = false): string {
  if (name === undefined) return text;
  const own = text.replace(inCheckout, (_, script: string) =>
    script === "ocrlty" ? `${name} ` : `${name} ${script} `,
  );
  // The package has no pages; every server shows those for callers.
  return isClient ? own.replace(/\bdocs\/([a-z-]+)\.md\b/g, "/docs/$1 of your server") : own;
}
