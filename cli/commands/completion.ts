import { Argument, Command } from "commander";
import * as Completion from "#cli/terminal/completion";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";

const about = `
The script completes the program's own name, ocrlty: of an installed client, or of \`alias ocrlty="npx ocrlty"\`.`;

/** `completion SHELL`: a script for that shell, on stdout. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(
    new Command("completion")
      .description("a script with which a shell completes commands, options and their choices")
      .addArgument(new Argument("<shell>", "which shell").choices(Completion.shells))
      .option("--json", 'the script in one JSON document, as "script"'),
    {
      about,
      examples: [
        'eval "$(npm run -s ocrlty -- completion bash)"',
        "npm run -s ocrlty -- completion zsh > ~/.zsh/completions/_ocrlty",
        "npm run -s ocrlty -- completion fish > ~/.config/fish/completions/ocrlty.fish",
        "npm run -s ocrlty -- completion powershell | Out-String | Invoke-Expression",
      ],
      exits: { 0: "done", 2: "usage" },
    },
  ).action((shell: Completion.Shell, { json }: { json?: boolean }, command: Command) => {
    const script = Completion.script(command.parent ?? command, shell);
    context.out(json ? `${JSON.stringify({ shell, script })}\n` : script);
    done(exit.ok);
  });
}
