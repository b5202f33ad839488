import type { Fault } from "#core/vision/fault";

/**
 * What a failed call means.
 * - `outage`: the model server is away; costs an item no attempt once a failed probe confirms it
 * - `overload`: the model server asked for a pause
 * - `item`: a fault of the model server or a used-up time budget; costs the item an attempt
 * - `refused`: this request will never be accepted
 */
type Verdict = "outage" | "overload" | "item" | "refused";

/** Status codes that a proxy in front of a stopped or loading server answers with. */
const proxyStatus = new Set([404, 408, 429, 502, 503, 504]);

/** The verdict on a failed call. */
export function classify(fault: Fault): Verdict {
  switch (fault.kind) {
    case "dns":
    case "refused":
    case "tls":
    case "connect_timeout":
    case "reset":
    case "silence":
    case "shutdown":
      return "outage";
    case "unfinished":
    case "deadline":
    case "aborted":
      return "item";
    case "oversized":
      return "refused";
    case "status":
      return classifyStatus(fault);
  }
}

function classifyStatus(fault: Fault): Verdict {
  const status = fault.status ?? 0;
  if (fault.modelMissing) return "outage";
  if (fault.schemaRefused) return "refused";
  // Our key is wrong or missing: items wait until the operator has set the right one.
  if (status === 401 || status === 403) return "outage";
  if (!fault.fromModelServer) {
    const fromProxy = proxyStatus.has(status) || (status >= 520 && status <= 530);
    // 200 without an event stream: a parking page, a captive portal.
    if (fromProxy || (status >= 200 && status < 300)) return "outage";
  } else if (status === 429 || status === 503) {
    return "overload";
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "item";
  return "refused";
}

/**
 * True if the call itself may have crashed the model server: the connection was lost after the whole request had been
 * sent. Behind a proxy, a crashed engine appears as the proxy's 502, or as a stream that ends too early.
 */
export function suspect(fault: Fault): boolean {
  if (!fault.afterSend) return false;
  if (fault.kind === "reset" || fault.kind === "unfinished") return true;
  return fault.kind === "status" && fault.status === 502 && fault.fromModelServer === false;
}
