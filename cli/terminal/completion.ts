/**
 * Completion for shells: a script that contains all commands, options and choices. Calling the program for each
 * completion, as libraries do, would take most of a second.
 */
import type { Command, Option } from "commander";

export const shells = ["bash", "zsh", "fish", "powershell"] as const;
export type Shell = (typeof shells)[number];

interface Word {
  readonly word: string;
  readonly about: string;
}

/** A command as a shell sees it. */
interface Place {
  /** `keys create-key`; empty: the program itself. */
  readonly at: string;
  readonly commands: readonly Word[];
  /** Choices of its argument. */
  readonly choices: readonly string[];
  readonly options: readonly {
    readonly words: readonly string[];
    readonly about: string;
    readonly takesValue: boolean;
    readonly choices: readonly string[];
  }[];
}

/** The script that completes the commands of this program in a shell. */
export function script(program: Command, shell: Shell): string {
  return writers[shell](program.name(), placesOf(program));
}

function placesOf(command: Command, at: readonly string[] = []): Place[] {
  const place = {
    at: at.join(" "),
    commands: visible(command).map((each) => ({ word: each.name(), about: each.description() })),
    choices: command.registeredArguments.flatMap(({ argChoices = [] }) => [...argChoices]),
    options: [...command.options.map(optionOf), { ...help, words: ["--help"] }],
  };
  return [place, ...visible(command).flatMap((each) => placesOf(each, [...at, each.name()]))];
}

/** Commander's own "help" is included, and --help shows the same. */
const visible = (command: Command) =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== "help");

const help = { about: "display help for command", takesValue: false, choices: [] };

const optionOf = ({ short, long, description, required, optional, argChoices = [] }: Option) => ({
  words: [long, short].filter((word) => word !== undefined),
  about: description,
  takesValue: required || optional,
  choices: [...argChoices],
});

/** Every way to a command, as `case "$at $word"` sees it. */
const steps = (places: readonly Place[]) =>
  places.flatMap(({ at, commands }) => commands.map(({ word }) => `${at} ${word}`));

/** In single quotes of a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const patterns = (texts: readonly string[]) => texts.map((text) => `"${text}"`).join("|");
const wordsOf = ({ commands, choices, options }: Place) => [
  ...commands.map(({ word }) => word),
  ...choices,
  ...options.flatMap(({ words }) => words),
];
/** Options with a value, and its choices; without choices the value is a file or free text. */
const valued = (places: readonly Place[]) =>
  places.flatMap(({ at, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ words, choices }) => words.map((word) => ({ where: `${at} ${word}`, choices }))),
  );

/** Works with bash 3.2, which macOS has. */
function bash(name: string, places: readonly Place[]): string {
  const free = valued(places).filter(({ choices }) => choices.length === 0);
  return `# bash completion for ${name}
_${name}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${patterns(steps(places))}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at $prev" in
${valued(places)
  .filter(({ choices }) => choices.length > 0)
  .map(({ where, choices }) => `    "${where}") words="${choices.join(" ")}" ;;`)
  .join("\n")}
    ${patterns(free.map(({ where }) => where))}) return ;;
    *)
      case "$at" in
${places.map((place) => `        "${place.at}") words="${wordsOf(place).join(" ")}" ;;`).join("\n")}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# If no command or option fits, offer files.
complete -o default -F _${name} ${name}
`;
}

function zsh(name: string, places: readonly Place[]): string {
  const described = ({ word, about }: Word) => quoted(`${word.replaceAll(":", "\\:")}:${about}`);
  const listOf = ({ commands, choices, options }: Place) =>
    [
      ...commands,
      ...choices.map((word) => ({ word, about: "" })),
      ...options.flatMap(({ words, about }) => words.map((word) => ({ word, about }))),
    ]
      .map(described)
      .join(" ");
  return `#compdef ${name}
_${name}() {
  local at="" i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${patterns(steps(places))}) at="\${at:+$at }\${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${valued(places)
  .map(({ where, choices }) =>
    choices.length > 0
      ? `    "${where}") compadd -- ${choices.map(quoted).join(" ")}; return ;;`
      : `    "${where}") _files; return ;;`,
  )
  .join("\n")}
  esac
  case "$at" in
${places.map((place) => `    "${place.at}") found=(${listOf(place)}) ;;`).join("\n")}
  esac
  _describe ${name} found
  [[ "\${words[CURRENT]}" == -* || -z "$at" ]] || _files
}
# As a file of $fpath this is the function itself, called for the first time.
if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fish(name: string, places: readonly Place[]): string {
  const text = (about: string) => `'${about.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const seen = (at: string) =>
    at
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
  const lines = places.flatMap(({ at, commands, choices, options }) => {
    const below = commands.map(({ word }) => word).join(" ");
    const here =
      at === ""
        ? "__fish_use_subcommand"
        : `${seen(at)}${below === "" ? "" : `; and not __fish_seen_subcommand_from ${below}`}`;
    const add = (rest: string) => `complete -c ${name} -n ${text(here)} ${rest}`;
    return [
      ...commands.map(({ word, about }) => add(`-f -a ${word} -d ${text(about)}`)),
      ...(choices.length > 0 ? [add(`-f -a ${text(choices.join(" "))}`)] : []),
      ...options.map(({ words, about, takesValue, choices: values }) => {
        const names = words.map((word) =>
          word.startsWith("--") ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`,
        );
        const value = values.length > 0 ? [`-x -a ${text(values.join(" "))}`] : takesValue ? ["-r"] : [];
        return add([...names, ...value, `-d ${text(about)}`].join(" "));
      }),
    ];
  });
  return `# fish completion for ${name}\n${lines.join("\n")}\n`;
}

function powershell(name: string, places: readonly Place[]): string {
  const text = (words: string) => `'${words.replaceAll("'", "''")}'`;
  const table = (rows: readonly { key: string; words: readonly string[] }[]) =>
    rows.map(({ key, words }) => `    ${text(key)} = ${text(words.join(" "))}`).join("\n");
  return `# PowerShell completion for ${name}
Register-ArgumentCompleter -Native -CommandName ${text(name)} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $steps = @(${steps(places).map(text).join(", ")})
  $values = @{
${table(valued(places).map(({ where, choices }) => ({ key: where, words: choices })))}
  }
  $words = @{
${table(places.map((place) => ({ key: place.at, words: wordsOf(place) })))}
  }
  $typed = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  $at = ''
  foreach ($word in ($typed | Select-Object -Skip 1)) {
    if ($steps -ccontains "$at $word") { $at = "$at $word".Trim() }
  }
  $before = "$at $($typed[-1])"
  $found = if ($values.ContainsKey($before)) { $values[$before] } else { $words[$at] }
  # If no command or option fits, PowerShell offers files.
  $found -split ' ' | Where-Object { $_ -and $_ -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}

const writers = { bash, zsh, fish, powershell } as const;
