import { relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** These look at what a process reads only once, or at all that it does. */
const alone = ["core/config.test.ts", "core/remote/download.test.ts"];

/**
 * Whole loops take longest and mostly wait: they begin first, so that nothing long is left when all else is done. SST's
 * components, which the first run installs, come before them.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const [folder = ""] = relative(import.meta.dirname, moduleId).split(/[\\/]/);
      return ["infra", "test"].indexOf(folder) >>> 0;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    // Most tests wait for others (processes, leases, queues): one more than two processors keeps these busy.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "together",
          include: ["{core,functions,infra,local,scripts,test}/**/*.test.ts"],
          exclude: alone,
          // Loading the SDKs, drizzle and vitest itself anew for each file would take a third of the processors' time.
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", include: alone } },
    ],
  },
});
