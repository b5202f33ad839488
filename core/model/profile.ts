import type { ProfileName } from "#spec/profile-names";
import type { Processor } from "./processor.ts";

/**
 * What differs between families of models, as data. A new family is a file in ./profiles and a line in its profiles.ts;
 * docs/gpu.md has the table, which profiles.test.ts compares.
 */
export interface Profile {
  /** As `VLLM_PROFILE` names it. */
  name: ProfileName;
  /** Matches the name of a served model in lower case; undefined for `generic`. */
  serves: RegExp | undefined;
  /**
   * `chat_template_kwargs` that switch thinking off; undefined where the family's template knows no such variable. A
   * server that refuses the field is asked without it.
   */
  withoutThinking: Readonly<Record<string, unknown>> | undefined;
  /** If it is wrong for a server, the server's counts correct it (./counts.ts). */
  processor: Processor;
  /**
   * The least tokens that a picture is assumed to take for one token of `processor`. 1 if the arithmetic is known: then
   * a server that counts less reduces pictures (`--mm-processor-kwargs`), and larger pictures gain nothing.
   */
  leastRatio: number;
}
