/**
 * Loaded before an entry that `launch.mjs` started, so that the two behave like one process: a Ctrl-C arrives once, and
 * a killed launcher leaves no orphan.
 */
const sameSignalMs = 1000;
const signals: readonly string[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK"];

// Processes that the entry forks inherit this file and the variable, but not the parent.
if (process.env.OCRLTY_LAUNCHER_PID === String(process.ppid)) {
  // The terminal signals the whole process group, and npm signals the launcher, which passes it on. Handlers that treat
  // a second signal as "stop at once" must see only one.
  const lastAt = new Map<unknown, number>();
  const emit = process.emit;
  process.emit = ((...args: unknown[]): boolean => {
    const name = args[0];
    if (typeof name === "string" && signals.includes(name)) {
      const now = performance.now();
      const repeated = now - (lastAt.get(name) ?? Number.NEGATIVE_INFINITY) < sameSignalMs;
      lastAt.set(name, now);
      if (repeated) return true;
    }
    return Reflect.apply(emit, process, args);
  }) as typeof process.emit;

  process.on("disconnect", () => {
    // If the entry has no handler, this ends it at once, as the signal itself would.
    if (process.listenerCount("SIGTERM") > 0) process.emit("SIGTERM", "SIGTERM");
    else process.exit(143);
  });
  process.channel?.unref();
}
