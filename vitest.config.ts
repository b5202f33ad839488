import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{core,functions,infra,local,scripts,test}/**/*.test.ts"],
    environment: "node",
    pool: "forks",
    // Most tests wait for others (processes, leases, queues): one more than two processors keeps these busy.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
