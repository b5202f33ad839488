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
    description: "Answers as long as the function runs; it checks no other service.",
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
    summary: "Whether all dependencies are available",
    description:
      "Probes the model server, bucket, database and queue in parallel, 2 s each; the answer is cached for 5 s. Callers with a key also see which one is away, and whether the bucket refuses to overwrite.",
    responses: {
      200: {
        description:
          "All are available; callers with a key see each of them, callers with an `admin:` scope also when secrets expire",
        schema: Readiness.Readiness,
      },
      503: { description: "At least one is not available", schema: Readiness.Readiness },
    },
    run: async ({ call }) => {
      const readiness = await Readiness.check({
        model: Config.model,
        bucket: Bucket.connect,
        db: Database.connect,
        queues: Queue.connect,
        times: Limits.times(Config.app().timeScale),
      });
      // During an outage of the database no key can be checked; codes and milliseconds are not secret.
      const known = call.principal.keyId !== "" || call.keyUnchecked;
      // The names of other keys and the expiry of secrets are for operators only.
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
