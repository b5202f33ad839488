import * as z from "zod";
import { podIdPattern } from "#spec/pod-id";
import { states } from "./pod.sql.ts";

const time = z.iso.datetime().nullable();

/** The managed pod as the API shows it. */
export const Pod = z
  .object({
    state: z.enum(states).meta({
      description:
        "`loading`: the pod runs, and its model server does not serve yet. `failed`: the last start came to nothing, or the pod cannot be used. `no_capacity`: the provider has no GPU for it now.",
    }),
    since: z.iso.datetime().meta({ description: "Since when it is in this state." }),
    reason: z
      .string()
      .nullable()
      .meta({ description: "Why, in snake_case, such as `idle`, `pod_gone`, `key_refused`, `budget`." }),
    pod_id: z.string().nullable().meta({ description: "The pod that is used now, or next." }),
    chosen_pod_id: z
      .string()
      .nullable()
      .meta({ description: "What `PUT` set; null: POD_ID and POD_IDS decide." }),
    wanted: z
      .enum(["auto", "off"])
      .meta({ description: "`off`: it was stopped by hand, and work does not start it." }),
    waiting_for: z
      .enum(["pod", "budget"])
      .nullable()
      .meta({ description: "What calls and runs wait for; null while it serves." }),
    ready_at: time.meta({ description: "When it is expected to serve, from past starts." }),
    retry_at: time.meta({ description: "Before this time it is not started again after a failure." }),
    start_asked_at: time.meta({ description: "When a start by hand was ordered that is not done yet." }),
    idle_since: time.meta({ description: "Since when there is no work." }),
    looked_at: time.meta({
      description: "When the manager last looked: each minute, or no manager is running.",
    }),
    rate_per_hour: z.number().nullable().meta({ description: "USD an hour while it runs." }),
    session: z
      .object({
        provider: z.string(),
        started_at: z.iso.datetime(),
        ready_at: time,
        busy_ms: z.int().meta({ description: "How long work was seen under way in it." }),
      })
      .nullable()
      .meta({ description: "The time that is being paid for now." }),
    today: z
      .object({ hours: z.number(), dollars: z.number() })
      .meta({ description: "Hours and dollars of this UTC day so far." }),
  })
  .meta({ id: "Pod", description: "The pod that runs only while work waits." });
export type Pod = z.output<typeof Pod>;

export const Choice = z
  .strictObject({
    pod_id: z
      .string()
      .regex(podIdPattern, "a pod's id is made of letters, digits, - and _, 64 at most")
      .nullable()
      .meta({ description: "Used before POD_ID and POD_IDS from the next start on; null: no choice." }),
  })
  .meta({ id: "PodChoice" });
