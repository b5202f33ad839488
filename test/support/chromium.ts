/**
 * A real browser for tests of pages: Debian's chromium if it is installed, driven by the DevTools protocol
 * (https://chromedevtools.github.io/devtools-protocol/) over Node's WebSocket.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The program's path; undefined if there is none in the PATH. */
export const program = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "chromium"))
  .find((path) => fs.existsSync(path));

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

export interface Page {
  goto(url: string): Promise<void>;
  /** The value of an expression in the page; a promise is waited for. */
  evaluate(expression: string): Promise<unknown>;
  /** Clicks into the first element that matches the selector and types. */
  type(selector: string, text: string): Promise<void>;
  /** Waits until the expression is true. @throws after a time limit, with the expression. */
  until(expression: string): Promise<void>;
  /** PNG of what is seen, or of the whole page. */
  screenshot(options?: { whole?: boolean }): Promise<Buffer>;
  /** Every address that it has asked for so far. */
  readonly requests: readonly string[];
  /** Errors of its scripts, and requests that its policy refused. */
  readonly problems: readonly string[];
}

export interface Browser {
  page(options?: PageOptions): Promise<Page>;
  close(): Promise<void>;
}

interface Message {
  id?: number;
  sessionId?: string;
  method?: string;
  params?: Record<string, never>;
  result?: Record<string, never>;
  error?: { message: string };
}

/** Starts it with a new profile and without requests of its own. */
export async function start(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "ocrlty-chromium-"));
  const child = spawn(
    program ?? "chromium",
    [
      ...["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      ...["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio"],
      // Chromium does not start as root with its sandbox, as in a container; it shows only our own pages.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ],
    { stdio: "ignore" },
  );
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const close = async () => {
    child.kill("SIGKILL");
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const connection = await connect(await addressOf(profile, child));
    return { page: (options = {}) => Tab.open(connection, options), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Chromium writes port and path of its protocol into a file of the profile. */
async function addressOf(profile: string, child: ChildProcess): Promise<string> {
  const file = join(profile, "DevToolsActivePort");
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 50) {
    const [port, path] = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
    if (path !== undefined) return `ws://127.0.0.1:${port}${path}`;
    if (child.exitCode !== null) throw new Error(`chromium ended with ${child.exitCode}`);
    await sleep(50);
  }
  throw new Error("chromium did not start");
}

class Connection {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, never>>>();
  readonly #listeners: ((message: Message) => void)[] = [];
  #last = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as Message;
      const waiting = this.#waiting.get(message.id ?? 0);
      if (message.error) waiting?.reject(new Error(message.error.message));
      else waiting?.resolve(message.result as Record<string, never>);
      this.#waiting.delete(message.id ?? 0);
      for (const listener of this.#listeners) listener(message);
    });
    socket.addEventListener("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("chromium is gone"));
    });
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.push(listener);
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Record<string, never>> {
    this.#last += 1;
    const answer = Promise.withResolvers<Record<string, never>>();
    this.#waiting.set(this.#last, answer);
    this.#socket.send(JSON.stringify({ id: this.#last, method, params, sessionId }));
    return answer.promise;
  }
}

async function connect(url: string): Promise<Connection> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("chromium does not answer")));
  });
  return new Connection(socket);
}

/** One page of the browser, by its session of the protocol. */
class Tab implements Page {
  readonly requests: string[] = [];
  readonly problems: string[] = [];
  readonly #connection: Connection;
  readonly #sessionId: string;
  #loads = 0;

  constructor(connection: Connection, sessionId: string) {
    this.#connection = connection;
    this.#sessionId = sessionId;
    connection.listen((message) => {
      if (message.sessionId === sessionId) this.#observe(message);
    });
  }

  static async open(connection: Connection, options: PageOptions): Promise<Tab> {
    const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(connection, String(sessionId));
    for (const domain of ["Page", "Network", "Log", "Runtime"]) await tab.#send(`${domain}.enable`);
    await tab.#emulate(options);
    return tab;
  }

  async goto(url: string): Promise<void> {
    const before = this.#loads;
    await this.#send("Page.navigate", { url });
    for (let waitedMs = 0; this.#loads === before && waitedMs < 20_000; waitedMs += 20) await sleep(20);
    if (this.#loads === before) throw new Error(`${url} does not load`);
  }

  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#send("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    const { result, exceptionDetails } = answer as unknown as {
      result: { value?: unknown };
      exceptionDetails?: { exception?: { description?: string } };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? expression);
    return result.value;
  }

  async type(selector: string, text: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.#send("Input.insertText", { text });
  }

  async until(expression: string): Promise<void> {
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 50) {
      if ((await this.evaluate(expression)) === true) return;
      await sleep(50);
    }
    throw new Error(`never true: ${expression}`);
  }

  async screenshot({ whole = false }: { whole?: boolean } = {}): Promise<Buffer> {
    const { data } = await this.#send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: whole,
    });
    return Buffer.from(String(data), "base64");
  }

  #send(method: string, params: object = {}) {
    return this.#connection.send(method, params, this.#sessionId);
  }

  #observe({ method, params = {} }: Message): void {
    const told = params as Record<string, Record<string, never>>;
    if (method === "Page.loadEventFired") this.#loads += 1;
    if (method === "Network.requestWillBeSent") this.requests.push(String(told.request?.url));
    if (method === "Network.webSocketCreated") this.requests.push(String(told.url));
    if (method === "Log.entryAdded" && told.entry?.level === "error")
      this.problems.push(String(told.entry.text));
    if (method === "Runtime.exceptionThrown") {
      const { text = "", exception } = told.exceptionDetails as {
        text?: string;
        exception?: Record<string, never>;
      };
      this.problems.push([text, exception?.description].filter(Boolean).join(" "));
    }
  }

  async #emulate({ width = 1280, height = 900, dark = false }: PageOptions): Promise<void> {
    const mobile = width < 600;
    await this.#send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
    if (mobile) await this.#send("Emulation.setTouchEmulationEnabled", { enabled: true });
    await this.#send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
  }
}
