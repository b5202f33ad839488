#!/usr/bin/env bash
# drizzle-kit 0.31.11 (the latest on 2026-11-30), drizzle-orm 0.45.4, dialect sqlite: an index on an expression with a
# comma, sql`coalesce(due_at, created_at)`, is written as two quoted columns, `coalesce(due_at` and ` created_at)`.
# `generate` says that all went well; SQLite refuses the file when it is applied.
# An expression without a comma is written as it should be.
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts drizzle-kit@0.31.11 drizzle-orm@0.45.4
cat > schema.ts <<'TS'
import { sql } from "drizzle-orm";
import { index, integer, sqliteTable } from "drizzle-orm/sqlite-core";
export const job = sqliteTable("job", { dueAt: integer("due_at"), createdAt: integer("created_at") }, () => [
  index("job_first").on(sql`coalesce(due_at, created_at)`),
  index("job_negative").on(sql`-due_at`),
]);
TS
npx drizzle-kit generate --dialect sqlite --schema schema.ts --out out --name first > generated.txt
grep -q "Your SQL migration file" generated.txt
grep "CREATE INDEX" out/0000_first.sql
grep -qF 'CREATE INDEX `job_first` ON `job` (`coalesce(due_at`,` created_at)`);' out/0000_first.sql
grep -qF 'CREATE INDEX `job_negative` ON `job` (-due_at)' out/0000_first.sql
echo "as described"
