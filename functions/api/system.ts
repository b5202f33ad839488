import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Queue from "#core/queue/queue";
import * as Expiries from "#core/readiness/expiries";
import * as Readiness from "#core/readiness/readiness";
import { api } from "#functions/http";
import { operation } from "#functions/request/operation";
import * as Limits from "#spec/limits";

const Health = z
  .object({
    ok: z.literal(true),
    version: z.string(),
    stage: z.string(),
    auth_enabled: z.boolean(),
    debug_mode: z.boolean(),
    model: z.string(),
  })
  .meta({ id: "Health" });

export const operations = {
  "GET /health": operation({
    summary: "Is the API up",
    description: "Answers as long as the function runs: nothing behind it is asked.",
    responses: { 200: { description: "It is", schema: Health } },
    run: () => {
      const { version, stage, debugMode } = Config.app();
      return {
        status: 200,
        body: {
          ok: true,
          version,
          stage,
          auth_enabled: Config.authEnabled(),
          debug_mode: debugMode,
          model: Config.modelName(),
        },
      };
    },
  }),
  "GET /readyz": operation({
    summary: "Whether everything that calls need answers",
    description:
      "Asks model server, bucket, database and queue, 2 s each and side by side; the answer is kept for 5 s. A call with a key is told which one is away, and whether the bucket refuses to overwrite.",
    responses: {
      200: {
        description:
          "All are; which ones is told to callers with a key, and to those with an `admin:` scope when secrets end",
        schema: Readiness.Readiness,
      },
      503: { description: "One is not", schema: Readiness.Readiness },
    },
    run: async ({ call }) => {
      const readiness = await Readiness.check({
        model: Config.model,
        bucket: Bucket.connect,
        db: Database.connect,
        queues: Queue.connect,
        times: Limits.times(Config.app().timeScale),
      });
      // While the database is away nobody can be told from anybody; codes and milliseconds are no secret.
      const known = call.principal.keyId !== "" || call.keyUnchecked;
      // Names of other keys, and what is worth waiting for: nobody's business but the operator's.
      const isOperator = call.principal.scopes.some((scope) => scope.startsWith("admin:"));
      const expiries = isOperator
        ? { expiries: await Expiries.read({ credentials: Config.credentials, db: Database.connect }) }
        : {};
      return {
        status: readiness.ok ? 200 : 503,
        body: known ? { ...readiness, ...expiries } : { ok: readiness.ok },
      };
    },
  }),
};

export const handler = api(operations);
