/**
 * Loaded before an entry that `launch.mjs` started, so that the two behave like one process:
 * a Ctrl-C arrives once, and a launcher that was killed leaves no orphan.
 */
const sameSignalMs = 1000;
const signals: readonly string[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK"];

// Processes that the entry forks inherit this file and the variable, but not the parent.
if (process.env.OCRLTY_LAUNCHER_PID === String(process.ppid)) {
  // The terminal tells the whole process group, npm tells the launcher and the launcher tells us: handlers that
  // take a second signal for "at once" must see one.
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
    // Without a handler of the entry's own this ends it at once, as the signal itself would.
    if (process.listenerCount("SIGTERM") > 0) process.emit("SIGTERM", "SIGTERM");
    else process.exit(143);
  });
  process.channel?.unref();
}
