import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { withDatabase } from "#cli/server/database";
import * as Failure from "#cli/server/failure";
import { type Context, type Exit, exit, UsageError } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Config from "#core/config";
import { post } from "#core/remote/post";
import * as Remote from "#core/remote/remote";
import { type Reason, RefusedError } from "#core/remote/resolve";
import * as Secret from "#core/webhook/secret";

const about = `
The event is {"type": "webhook.test", "timestamp": "…", "data": {"key_id": "…"}}, signed as calls for that key's runs are, under
the same rules: https on the public internet, or anything from a local database where this command has
WEBHOOK_ALLOW_PRIVATE=1, in its environment or in .env: it does not ask the loop, which has a setting of its own.`;

const help = {
  about,
  examples: [
    "npm run ocrlty -- webhook test http://127.0.0.1:3000/",
    "npx sst shell --stage production -- node scripts/launch.mjs ocrlty webhook test https://receiver.example/hook --key-id client-1",
  ],
  exits: { 0: "the receiver answered 2xx", 1: "it did not", 2: "usage or database" },
};

/** The time for a receiver's answer, as in a real call. */
const timeoutMs = 10_000;

interface Options {
  json?: boolean;
  db?: string;
  keyId?: string;
}

/** `webhook test URL`: whether a receiver accepts this stage's signature. */
export function command(context: Context, done: (status: Exit) => void): Command {
  const webhook = Help.add(new Command("webhook").description("try out receivers of webhooks"), help);
  Help.add(webhook.command("test").description("send a signed event of type webhook.test, once"), help)
    .argument("<url>", "the receiver")
    .option("--key-id <id>", "whose secret signs it (default: local-admin of a local database)")
    .option("--json", "JSON on stdout")
    .option("--db <file-or-url>", "the database (default: DATABASE_URL, else the local loop's)")
    .action(async (url: string, options: Options) => {
      if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
        throw new UsageError(
          "the receiver's address must begin with https:// (or http:// on your own machine)",
        );
      await withDatabase(context, options, { create: false }, async ({ db, isFile, webhookSecrets }) => {
        const keyId = options.keyId ?? (isFile ? "local-admin" : undefined);
        if (keyId === undefined) throw new UsageError("name the key whose secret signs the call: --key-id");
        const stage = webhookSecrets();
        await Secret.show(db, stage, keyId);
        const secrets = await Secret.of(db, stage, keyId);
        const isPrivate = isFile && Config.parse("webhook", context.env).WEBHOOK_ALLOW_PRIVATE;
        const answer = await send(url, keyId, secrets, isPrivate);
        done(report(context, answer, { isJson: options.json === true, isPrivate, isFile }));
      });
    });
  return webhook;
}

interface Answer {
  ok: boolean;
  status: number | null;
  /** Why no call was sent, or no answer came. */
  reason: Reason | null;
  duration_ms: number;
}

async function send(
  url: string,
  keyId: string,
  secrets: readonly string[],
  isPrivate: boolean,
): Promise<Answer> {
  const at = new Date();
  const body = JSON.stringify({
    type: "webhook.test",
    timestamp: at.toISOString(),
    data: { key_id: keyId },
  });
  const headers = Secret.headers(secrets, { id: `msg_test_${randomUUID()}`, at, body });
  const protocols = isPrivate ? ["https:", "http:"] : ["https:"];
  const end = (status: number | null, reason: Reason | null): Answer => ({
    ok: status !== null && status >= 200 && status < 300,
    status,
    reason,
    duration_ms: Date.now() - at.getTime(),
  });
  try {
    const world = isPrivate ? Remote.anywhere : Remote.internet;
    return end(await post(url, { headers, body, protocols, timeoutMs }, world), null);
  } catch (thrown) {
    if (!(thrown instanceof RefusedError)) throw thrown;
    return end(null, thrown.reason);
  }
}

/** Prints the outcome; with --json a refusal by the receiver is an ordinary failure. */
function report(
  context: Context,
  answer: Answer,
  { isJson, ...where }: { isJson: boolean; isPrivate: boolean; isFile: boolean },
): Exit {
  const { ok, status, reason, duration_ms } = answer;
  if (ok) {
    const facts = { ok, status, duration_ms };
    context.out(isJson ? `${JSON.stringify(facts)}\n` : `delivered: status ${status} in ${duration_ms} ms\n`);
    return exit.ok;
  }
  const why = reason === null ? `status ${status} in ${duration_ms} ms` : sentence(reason, where);
  const message = `not delivered: ${why}`;
  if (isJson) {
    const details = { reason, status, duration_ms };
    context.say(`error: ${message}`);
    context.out(Failure.line({ code: "not_delivered", message, request_id: null, details }));
  } else context.out(`${message}\n`);
  return exit.items;
}

const reached: Partial<Record<Reason, string>> = {
  url_invalid: "this is not a URL",
  url_unreachable: "nothing answers there, or the connection was lost",
  url_timeout: `there was no answer within ${timeoutMs / 1000} seconds`,
};

/** The advice: real calls have the same rule, but another setting lifts it. */
function sentence(reason: Reason, { isPrivate, isFile }: { isPrivate: boolean; isFile: boolean }): string {
  const plain = reached[reason];
  if (plain !== undefined) return `${plain} (${reason})`;
  const rule = "a receiver is an https address of the public internet on port 443";
  return isFile && !isPrivate
    ? `${rule} (${reason}); for one on your own machine this command, as the loop, needs WEBHOOK_ALLOW_PRIVATE=1`
    : `${rule} (${reason})`;
}
