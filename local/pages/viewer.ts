/**
 * The viewer of the reference: Scalar's script for browsers. It is part of Scalar's plugin for Fastify, which is a
 * tenth of the size of the script's own package (13 MB with 28 dependencies). The plugin is called as intended, by an
 * HTTP server, but the server does not listen.
 */
import * as fs from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyPluginAsync } from "fastify";
import { packageRoot } from "#local/home/home";

const name = "@scalar/fastify-api-reference";

/** The script, compressed. Compressing takes a second, so the result is kept beside the packages, by version. */
export async function script(): Promise<{ packed: Buffer; inputs: string[] }> {
  const entry = createRequire(import.meta.url).resolve(name);
  const manifest = JSON.parse(await fs.readFile(join(dirname(dirname(entry)), "package.json"), "utf8"));
  const cache = join(packageRoot, "node_modules", ".cache", "ocrlty-viewer");
  const file = join(cache, `scalar-${manifest.version}.js.gz`);
  const packed = (await fs.readFile(file).catch(() => undefined)) ?? (await make(cache, file));
  return { packed, inputs: [entry] };
}

async function make(cache: string, file: string): Promise<Buffer> {
  const [{ fastify }, { default: plugin }] = await Promise.all([import("fastify"), import(name)]);
  const server = fastify();
  const nothing = { openapi: "3.1.0", info: { title: "", version: "" }, paths: {} };
  await server.register(plugin as FastifyPluginAsync<{ routePrefix: string; configuration: object }>, {
    routePrefix: "/docs",
    configuration: { content: nothing },
  });
  const { statusCode, rawPayload } = await server.inject({ url: "/docs/js/scalar.js" });
  await server.close();
  if (statusCode !== 200) throw new Error(`${name} has no script at /js/scalar.js: ${statusCode}`);
  // Its last line names a source map that does not exist.
  const source = rawPayload.toString("utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
  const packed = await promisify(gzip)(source, { level: 9 });
  await fs.mkdir(cache, { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  await fs.writeFile(draft, packed);
  // Windows refuses while another process reads it; then the next build makes it again.
  await fs.rename(draft, file).catch(() => fs.rm(draft, { force: true }));
  return packed;
}
