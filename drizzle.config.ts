import { defineConfig } from "drizzle-kit";

/** `npx drizzle-kit generate --name <what-changed>` writes the next migration; applied by `keys init-db` and `npm start`. */
export default defineConfig({
  dialect: "turso",
  schema: "./core/**/*.sql.ts",
  out: "./core/db/migrations",
});
