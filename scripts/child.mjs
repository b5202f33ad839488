/** Child processes of the launcher, and its errors. Plain JavaScript without packages, as scripts/launch.mjs. */
import * as fs from "node:fs";

/** A wrong command line, or a machine that lacks something: one line, exit status 2. */
export class LaunchError extends Error {
  constructor(message, status = 2) {
    super(message);
    this.status = status;
  }
}

/** @param event - "close" also waits until the pipes are empty. */
export function endOf(child, event = "exit") {
  return new Promise((done) => {
    child.once("error", (error) => {
      if (child.pid === undefined) done({ error });
    });
    child.once(event, (status, signal) => done({ status, signal }));
  });
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** The text of a file, or "" if it cannot be read. */
export function readText(path) {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
