import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Admin from "#core/pod/admin";
import { Choice, Pod } from "#core/pod/schema";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import { operation } from "#functions/request/operation";

const asked = (call: Call): Admin.Asked => ({
  db: Database.connect(),
  podManaged: Config.app().podManaged,
  costPerHour: Config.usage().gpuCostPerHour,
  log: call.log,
});

const off = "Without a manager (`POD_MANAGER=off`) every call about it is 409 `pod_manager_off`.";
const soon = "The manager carries it out within a minute.";
const responses = { 200: { description: "The pod", schema: Pod } };

export const operations = {
  "GET /v1/admin/pod": operation({
    summary: "The pod that runs while work waits",
    description: `Its state as the manager last saw it, what calls and runs wait for, and what today cost. ${off}`,
    responses,
    errors: ["conflict"],
    run: async ({ call }) => ({ status: 200, body: await Admin.get(asked(call)) }),
  }),

  "PUT /v1/admin/pod": operation({
    summary: "Use another pod",
    description:
      "For a pod that was made anew under another id: it is started at the next start, before `POD_ID` and `POD_IDS`, and the model server's address follows it without a deploy. Of an id that the provider does not know the pod's `state` becomes `failed`, with `reason` `pod_gone`.",
    body: Choice,
    responses,
    errors: ["conflict"],
    run: async ({ body, call }) => ({ status: 200, body: await Admin.choose(asked(call), body.pod_id) }),
  }),

  "POST /v1/admin/pod/start": operation({
    summary: "Start the pod",
    description: `Whether or not work waits, also after it was stopped by hand; without work it stops after the idle time. ${soon}`,
    responses,
    errors: ["conflict"],
    run: async ({ call }) => ({ status: 200, body: await Admin.start(asked(call)) }),
  }),

  "POST /v1/admin/pod/stop": operation({
    summary: "Stop the pod",
    description: `No more work is begun, and the pod stops when what is in flight has ended. Work waits until \`start\`. ${soon}`,
    responses,
    errors: ["conflict"],
    run: async ({ call }) => ({ status: 200, body: await Admin.stop(asked(call)) }),
  }),
};

export const handler = api(operations);
