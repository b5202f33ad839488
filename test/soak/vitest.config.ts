import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** `npm run soak`: the long forms, one after the other, because each needs the whole machine. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["test/soak/**/*.soak.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 120_000,
    reporters: ["verbose"],
  },
});
