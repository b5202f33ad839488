import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** These look at what a process reads only once, or at all that it does. */
const alone = ["core/config.test.ts", "core/remote/download.test.ts"];

/**
 * Whole loops mostly wait, other tests compute. Mixed, with the loops a little ahead, they keep the processors evenly
 * busy: loops whose clocks run thirty times as fast are not all there at once, and nothing long is left for the end.
 */
class Mixed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isWhole = ({ moduleId }: TestSpecification) =>
      /^(infra|test)[\\/]/.test(relative(import.meta.dirname, moduleId));
    const others = sorted.filter((file) => !isWhole(file));
    const whole = sorted.filter(isWhole);
    const beside = Math.floor((0.7 * others.length) / Math.max(1, whole.length));
    return [...whole.flatMap((file) => [file, ...others.splice(0, beside)]), ...others];
  }
}

export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    // Most tests wait for others (processes, leases, queues): one more than two processors keeps these busy.
    maxWorkers: 3,
    // Tests make much that lives briefly. With V8's usual room for it a tenth of the processors' time goes into
    // collecting, and moves to the old what would have been gone a moment later.
    execArgv: [
      "--min-semi-space-size=8",
      "--max-semi-space-size=32",
      `--import=${pathToFileURL(join(import.meta.dirname, "scripts/launched.ts")).href}`,
    ],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
    sequence: { sequencer: Mixed },
    projects: [
      {
        extends: true,
        test: {
          name: "together",
          include: ["{cli,core,functions,infra,local,scripts,spec,test}/**/*.test.ts"],
          exclude: alone,
          // Loading the SDKs, drizzle and vitest itself anew for each file would take a third of the processors' time.
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", include: alone } },
    ],
  },
});
