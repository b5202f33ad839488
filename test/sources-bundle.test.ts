import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import type { Log } from "#core/log";
import type * as Download from "#core/remote/download";
import { bundle } from "#local/bundle/bundle";

const log: Log = { info: () => undefined, warn: () => undefined, error: () => undefined, child: () => log };

test("a download works as it is deployed: its HTTP client is in the bundle", async () => {
  const built = await bundle({ handlers: { download: "core/remote/download.download" } });
  const server = createServer((_request, response) => void response.end("the bytes"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { file = "" } = built.functions.download ?? {};
    const { download } = (await import(pathToFileURL(file).href)) as typeof Download;
    const bytes = await download(
      `http://pictures.example:${(server.address() as AddressInfo).port}/`,
      { log, protocols: ["http:"], maxBytes: 100, timeoutMs: 5_000 },
      {
        lookup: async () => [{ address: "127.0.0.1", family: 4 }],
        allows: () => true,
        allowsPort: () => true,
      },
    );
    expect(Buffer.from(bytes).toString()).toBe("the bytes");
  } finally {
    server.close();
    built.release();
  }
});
