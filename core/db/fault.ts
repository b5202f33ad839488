import { LibsqlError } from "@libsql/client/http";

/** Deeper chains of causes are not followed. */
const maxDepth = 5;

/** The error and its causes. */
function* chain(thrown: unknown): Generator<Error> {
  for (let at = thrown, depth = 0; at instanceof Error && depth < maxDepth; at = at.cause, depth += 1)
    yield at;
}

/**
 * Codes for a statement that a server would always refuse, as SQLite and libSQL's server name them: a violated
 * constraint, invalid SQL, wrong arguments, a forbidden statement.
 */
const statementFault =
  /^(SQLITE_(CONSTRAINT|MISMATCH|MISUSE|RANGE|TOOBIG|AUTH)|SQL_(PARSE_ERROR|INPUT_ERROR|NO_STATEMENT|MANY_STATEMENTS|INVALID)|ARGS_|URL_)/;
/** SQLite's catch-all: a table that is not there, and also a transaction that was ended. */
const anything = /^SQLITE_(ERROR|UNKNOWN)/;

/**
 * True for faults that say nothing about the statement, so that the same call may succeed later: no connection, no
 * answer in time, locked, interrupted, closed, a transaction that timed out, an answer that was too large, 5xx of a proxy,
 * and every code that is not known.
 */
export function isOutage(thrown: unknown): boolean {
  for (const at of chain(thrown)) {
    if (at instanceof LibsqlError) {
      if (anything.test(at.code)) return /\btransaction\b/.test(at.message);
      return !statementFault.test(at.code);
    }
    if (at.name === "TimeoutError" || at.name === "AbortError") return true;
    if (at instanceof TypeError && /^(fetch failed|terminated)$/.test(at.message)) return true;
    if (/^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|UND_ERR)/.test(codeOf(at))) return true;
  }
  return false;
}

/**
 * True if the connection ended during the call: a frozen Lambda instance resumes with connections that the other side
 * has closed. A repeat uses a new one.
 */
export function isDropped(thrown: unknown): boolean {
  for (const at of chain(thrown)) if (/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(codeOf(at))) return true;
  return false;
}

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : "";
