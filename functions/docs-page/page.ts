/** Which page or file is asked for, and in which form. */
import { AppError } from "#core/error";
import * as Near from "#core/near";
import * as Files from "#functions/docs-page/files";
import * as Guides from "#functions/docs-page/guides";
import * as Policy from "#functions/docs-page/policy";
import * as Accept from "#functions/request/accept";
import type { Call } from "#functions/request/call";
import type { Reply } from "#functions/request/operation";

export const html = "text/html; charset=utf-8";

/** Pages change with a deploy only. */
const cache = { "Cache-Control": "public, max-age=300" };

/**
 * A page by its name: HTML, or Markdown if the name ends in `.md` or `Accept` asks for it. @throws AppError `not_found`
 * that lists the pages.
 */
export async function show(path: string, call: Call): Promise<Reply> {
  const name = path.replace(/\.md$/, "");
  if (!Guides.names.includes(name))
    throw new AppError(
      "not_found",
      `no such page${Near.hint(name, Guides.names) || ":"} there are ${Guides.names.join(", ")}`,
      { details: { allowed: [...Guides.names] }, param: "page" },
    );
  const vary = { Vary: "Accept" };
  if (name !== path || Accept.preferred(call.headers.accept, ["text/html", "text/markdown"]) !== "text/html")
    return there(Files.reply(`${name}.md`, "text/markdown; charset=utf-8", call, { ...cache, ...vary }));
  const policy = Policy.headers(name === Guides.reference ? "reference" : "guide");
  return there(Files.reply(`${name}.html`, html, call, { ...cache, ...policy, ...vary }));
}

/** A file that every deployment has. */
export function file(name: string, contentType: string, call: Call): Promise<Reply> {
  return there(Files.reply(name, contentType, call, cache));
}

/** A script or style sheet of the pages. Its name holds a hash of its content. @throws AppError `not_found` */
export async function asset(name: string, call: Call): Promise<Reply> {
  const type = /^[a-z]{1,32}-[0-9a-f]{16}\.(css|js)$/.exec(name)?.[1];
  if (type === undefined) throw new AppError("not_found", "no such file");
  const contentType = `text/${type === "js" ? "javascript" : type}; charset=utf-8`;
  const headers = { "Cache-Control": "public, max-age=31536000, immutable" };
  return there(Files.reply(`assets/${name}`, contentType, call, headers));
}

async function there(found: Promise<Reply | undefined>): Promise<Reply> {
  const reply = await found;
  if (reply === undefined) throw new AppError("not_found", "no such file");
  return reply;
}
