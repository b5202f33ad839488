import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { download } from "#core/remote/download";
import type { World } from "#core/remote/resolve";
import { addressesOf, limits, lines, loopback, reasonOf, refusal } from "./download-for-tests.ts";

describe("a download", () => {
  const running: (http.Server | net.Server)[] = [];
  afterEach(async () => {
    for (const server of running.splice(0)) {
      if (server instanceof http.Server) server.closeAllConnections();
      server.close();
    }
  });

  async function listen(server: http.Server | net.Server): Promise<number> {
    running.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as net.AddressInfo).port;
  }
  const serve = async (handle: http.RequestListener) => listen(http.createServer(handle));
  const at = (port: number, path = "/picture.jpg") => `http://pictures.example:${port}${path}`;
  /** A host that writes raw bytes, and counts the connections that it closed. */
  async function raw(write: (socket: net.Socket) => void) {
    const seen = { closed: 0, sent: () => 0 };
    const port = await listen(
      net.createServer((socket) => {
        socket.on("error", () => undefined);
        socket.on("close", () => seen.closed++);
        seen.sent = () => socket.bytesWritten;
        socket.once("data", () => write(socket));
      }),
    );
    return { port, seen };
  }

  test("returns the bytes, and sends no credentials or cookies", async () => {
    vi.stubEnv("http_proxy", "http://127.0.0.1:9");
    vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:9");
    const asked: http.IncomingMessage[] = [];
    const port = await serve((request, response) => {
      asked.push(request);
      response.setHeader("set-cookie", "a=b").end("the bytes");
    });
    const connect = vi.spyOn(net.Socket.prototype, "connect");
    const bytes = await download(at(port, "/a/b?c=d#e"), limits, loopback());
    expect(connect).toHaveBeenCalledTimes(1);
    connect.mockRestore();
    vi.unstubAllEnvs();
    expect(Buffer.from(bytes).toString()).toBe("the bytes");
    expect(asked[0]?.url).toBe("/a/b?c=d");
    expect(Object.keys(asked[0]?.headers ?? {}).toSorted()).toEqual([
      "accept",
      "accept-encoding",
      "connection",
      "host",
      "user-agent",
    ]);
    expect(asked[0]?.headers["accept-encoding"]).toBe("identity");
    expect(lines.at(-1)).toEqual({ bytes: 9, redirects: 0, duration_ms: expect.any(Number) });
  });

  test("connects to the address that was checked, although the name resolves to another one by then", async () => {
    const port = await serve((_request, response) => void response.end("checked"));
    const found = [addressesOf("127.0.0.1"), addressesOf("127.0.0.2")];
    const world = loopback(async () => found.shift() ?? []);
    expect(Buffer.from(await download(at(port), limits, world)).toString()).toBe("checked");
    expect(world.lookup).toHaveBeenCalledTimes(1);
    expect(world.allows).toHaveBeenLastCalledWith("127.0.0.1");
  });

  test("drops a connection to an address that was not checked", async () => {
    const port = await serve((_request, response) => void response.end("never"));
    // Allowed by the resolver, refused when the socket shows the address.
    let asked = 0;
    const error = await refusal(at(port), { ...loopback(), allows: () => ++asked === 1 });
    expect(reasonOf(error)).toBe("url_unreachable");
  });

  test("follows three redirects, and ignores the cookies and bodies of redirect answers", async () => {
    const port = await serve(({ url, headers }, response) => {
      const n = Number(url?.slice(1));
      if (n === 3) return void response.end(`cookie: ${headers.cookie}`);
      response
        .writeHead([301, 302, 307][n] ?? 308, { location: `/${n + 1}`, "set-cookie": "a=b" })
        .end("go on");
    });
    const world = loopback();
    expect(Buffer.from(await download(at(port, "/0"), limits, world)).toString()).toBe("cookie: undefined");
    expect(world.lookup).toHaveBeenCalledTimes(4);
  });

  test("checks every redirect again", async () => {
    const places: Record<string, [string, string]> = {
      "/fourth": ["/fourth", "too_many_redirects"],
      "/private": ["http://10.0.0.1/", "address_not_allowed"],
      "/octal": ["//0177.0.0.2/", "address_not_allowed"],
      "/local": ["http://localhost/", "url_not_allowed"],
      "/file": ["file:///etc/passwd", "url_not_allowed"],
      "/user": ["http://a:b@pictures.example/", "url_not_allowed"],
      "/broken": ["http://[", "url_invalid"],
    };
    const port = await serve((request, response) => {
      response.writeHead(302, { location: places[request.url ?? ""]?.[0] }).end();
    });
    for (const [path, [, reason]] of Object.entries(places)) {
      expect(reasonOf(await refusal(at(port, path), loopback())), path).toBe(reason);
    }
    // The name resolves to another address between two redirects.
    const found = [addressesOf("127.0.0.1"), addressesOf("127.0.0.2")];
    expect(
      reasonOf(
        await refusal(
          at(port, "/fourth"),
          loopback(async () => found.shift() ?? []),
        ),
      ),
    ).toBe("address_not_allowed");
  });

  test("a listed host cannot redirect to a host that is not listed", async () => {
    const asked: string[] = [];
    const port = await serve(({ url, headers }, response) => {
      asked.push(`${headers.host?.split(":")[0]}${url}`);
      if (url === "/end") return void response.end("the bytes");
      const host = url === "/within" ? "also.example" : "elsewhere.example";
      response.writeHead(302, { location: `http://${host}:${port}/end` }).end();
    });
    const hosts = ["pictures.example", "also.example"];
    const allowsHost = (hostname: string) => hosts.includes(hostname);
    const world = loopback();
    const from = (path: string) => `http://pictures.example:${port}${path}`;
    expect(Buffer.from(await download(from("/within"), { ...limits, allowsHost }, world)).toString()).toBe(
      "the bytes",
    );
    expect(reasonOf(await refusal(from("/out"), world, { allowsHost }))).toBe("host_not_allowed");
    expect(asked).toEqual(["pictures.example/within", "also.example/end", "pictures.example/out"]);
    expect(world.lookup).not.toHaveBeenCalledWith("elsewhere.example");
  });

  test("of more than the limit ends: announced, not announced, or announced as less", async () => {
    const head = "HTTP/1.1 200 OK\r\n";
    const endless = (socket: net.Socket, piece: string) => {
      const more = () => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on("drain", more);
      more();
    };
    const announced = await raw((socket) => socket.write(`${head}content-length: 100001\r\n\r\n`));
    expect(await refusal(at(announced.port), loopback())).toMatchObject({
      code: "image_too_large",
      details: { limit_bytes: 100_000, bytes: 100_001 },
    });
    const chunked = await raw((socket) => {
      socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
      endless(socket, `1000\r\n${"x".repeat(4096)}\r\n`);
    });
    expect(await refusal(at(chunked.port), loopback())).toMatchObject({
      code: "image_too_large",
      details: { limit_bytes: 100_000 },
    });
    const unbounded = await raw((socket) => {
      socket.write(`${head}connection: close\r\n\r\n`);
      endless(socket, "x".repeat(4096));
    });
    expect(await refusal(at(unbounded.port), loopback())).toMatchObject({ code: "image_too_large" });
    for (const { seen } of [announced, chunked, unbounded]) await expect.poll(() => seen.closed).toBe(1);
    // Only what fits into the sockets' buffers.
    expect(chunked.seen.sent()).toBeLessThan(20_000_000);
    const lying = await raw((socket) => socket.end(`${head}content-length: 5\r\n\r\n${"x".repeat(500_000)}`));
    expect((await download(at(lying.port), limits, loopback())).length).toBe(5);
    const exact = await serve((_request, response) => void response.end(Buffer.alloc(limits.maxBytes)));
    expect((await download(at(exact), limits, loopback())).length).toBe(limits.maxBytes);
  });

  test("refuses a compressed body before a byte of it is unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000));
    const port = await serve(
      (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(bomb),
    );
    expect(reasonOf(await refusal(at(port), loopback()))).toBe("content_encoding");
  });

  test("has one time limit for everything: a silent resolver, a slow head, a slow body, slow redirects", async () => {
    const drip = (text: string) => (socket: net.Socket) => {
      let n = 0;
      const timer = setInterval(() => socket.write(text[n++ % text.length] ?? ""), 20);
      socket.on("close", () => clearInterval(timer));
    };
    const head = await raw(drip("HTTP/1.1 200 OK\r\nx: y"));
    const body = await raw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n");
      drip("x")(socket);
    });
    const redirects = await serve((_request, response) => {
      setTimeout(() => response.writeHead(302, { location: "/again" }).end(), 90);
    });
    const silent = loopback(() => new Promise(() => undefined));
    const startedAt = Date.now();
    const refused = await Promise.all([
      refusal(at(head.port), loopback(), { timeoutMs: 250 }),
      refusal(at(body.port), loopback(), { timeoutMs: 250 }),
      refusal(at(redirects), loopback(), { timeoutMs: 250 }),
      refusal(at(9), silent, { timeoutMs: 250 }),
    ]);
    expect(Date.now() - startedAt).toBeLessThan(2_000);
    expect(refused.map(reasonOf)).toEqual(["url_timeout", "url_timeout", "url_timeout", "url_timeout"]);
    for (const { seen } of [head, body]) await expect.poll(() => seen.closed).toBe(1);
  });

  test("that fails says why, and names no host", async () => {
    const status = await serve(
      (_request, response) => void response.writeHead(404).end("no such picture in /srv/secret"),
    );
    const half = await raw((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nhalf"));
    const noise = await raw((socket) => socket.end("SSH-2.0-OpenSSH_9.7\r\n"));
    const reset = await raw((socket) => void socket.resetAndDestroy());
    const closed = await serve(() => undefined);
    running.pop()?.close();
    const cases: [number, World, string][] = [
      [status, loopback(), "url_status"],
      [half.port, loopback(), "url_unreachable"],
      [noise.port, loopback(), "url_unreachable"],
      [reset.port, loopback(), "url_unreachable"],
      [closed, loopback(), "url_unreachable"],
      [closed, loopback(async () => []), "url_unreachable"],
      [
        closed,
        loopback(() => Promise.reject(new Error("getaddrinfo ENOTFOUND pictures.example"))),
        "url_unreachable",
      ],
    ];
    for (const [port, world, reason] of cases) {
      const error = await refusal(at(port), world);
      expect(reasonOf(error)).toBe(reason);
      const said = JSON.stringify([error.message, error.details, String(error.cause), lines.at(-1)]);
      expect(said).not.toMatch(/pictures|example|127\.0|secret|SSH/);
    }
    expect((await refusal(at(status), loopback())).details?.status).toBe(404);
  });

  test("over https asks for the given name, and accepts only a trusted certificate", async () => {
    let hello = Buffer.alloc(0);
    const port = await listen(
      net.createServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", (bytes) => {
          hello = bytes;
          socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain");
        });
      }),
    );
    const error = await refusal(`https://pictures.example:${port}/`, loopback());
    expect(reasonOf(error)).toBe("url_unreachable");
    // A TLS handshake record with the server's name, and nothing of the request.
    expect(hello[0]).toBe(22);
    expect(hello.toString("latin1")).toContain("pictures.example");
    expect(hello.toString("latin1")).not.toContain("GET /");
  });
});
