/*
 * How requests reach the database: what libSQL's client is given in the place of `fetch`.
 */

/** A statement's error on the wire. No value of a row can look like it, because quotes in values are escaped. */
const faultMark = '"message":';

interface BatchAnswer {
  step_errors: (object | null)[];
}
interface Answer {
  results: { response?: { type: string; result?: BatchAnswer } }[];
}

/**
 * `fetch` with two things that libSQL's client lacks:
 * - A time limit, until the last byte: a database that does not answer must not use up an invocation's time.
 * - Of the faults that a batch's steps report only the first is passed on. The client throws that one and leaves the
 *   promises of the others unobserved (`executeHranaBatch` of @libsql/client 0.18), which would
 *   end the process: a whole function instance, on Lambda.
 * @param timeoutMs - none when undefined: a migration takes as long as it takes.
 */
export function fetcher(timeoutMs: number | undefined): (request: Request) => Promise<Response> {
  return async (request) => {
    const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const response = await fetch(request, signal === undefined ? {} : { signal });
    const text = await response.text();
    const { status, headers } = response;
    const body = status === 200 && text.includes(faultMark) ? firstFaultOnly(text) : text;
    const type = headers.get("content-type") ?? "text/plain";
    return new Response(body, { status, headers: { "content-type": type } });
  };
}

function firstFaultOnly(text: string): string {
  let answer: Answer;
  try {
    answer = JSON.parse(text);
  } catch {
    // Passed on: the client reports what it cannot read.
    return text;
  }
  for (const { response } of answer.results ?? []) {
    if (response?.type !== "batch" || response.result === undefined) continue;
    const errors = response.result.step_errors;
    const first = errors.findIndex((error) => error !== null);
    response.result.step_errors = errors.map((error, step) => (step === first ? error : null));
  }
  return JSON.stringify(answer);
}
