/**
 * Writes docs/openapi.json from the route table and the operations. `--check` writes nothing and ends with status 1 if
 * the committed file differs; `--json` prints the document instead.
 */
import * as fs from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import * as OpenApi from "./openapi.ts";

const file = join(import.meta.dirname, "..", "..", "docs", "openapi.json");
const { values } = parseArgs({ options: { check: { type: "boolean" }, json: { type: "boolean" } } });
const fresh = OpenApi.serialize(await OpenApi.build());
const name = relative(process.cwd(), file);

if (values.json) {
  process.stdout.write(fresh);
} else {
  const committed = fs.existsSync(file) ? fs.readFileSync(file, "utf8").replaceAll("\r\n", "\n") : "";
  const same = committed === fresh;
  if (values.check) {
    process.exitCode = same ? 0 : 1;
    process.stderr.write(
      same ? `${name} is current\n` : `${name} is not current: npm run openapi writes it\n`,
    );
  } else {
    if (!same) fs.writeFileSync(file, fresh);
    process.stderr.write(`${name} ${same ? "is current" : "is written"}\n`);
  }
}
