import { prices } from "#spec/prices";

/*
 * What receipts cost besides the GPU, by the lines of docs/operate/cost.md that grow with them. An estimate from what is
 * counted: list prices, and the assumptions named here.
 */

/** 0.5 GB for 0.1 s: what announces an upload. */
const uploadGbSeconds = 0.05;
/** One step of the planner for each 24 items: 0.5 GB for 0.3 s. */
const planGbSecondsPerItem = 0.15 / 24;
/** Sending, receiving and deleting the message of an item, with its share of the planner's. */
const queueRequestsPerItem = 3.2;
const logBytesPerReceipt = 3_000;
/** A scaled picture as base64, and its artifact. */
const sentBytesPerPage = 550_000;
const storedBytesPerReceipt = 11_000;
/** The picture and the artifact are written, both are read. */
const bucketWritesPerItem = 2;
const bucketReadsPerItem = 2;
const functionGb = 1.769;

/** What was counted of the work. */
interface Work {
  receipts: number;
  pages: number;
  /** How long functions waited for the model, in milliseconds. */
  modelMs: number;
}

/** Dollars of one line. */
interface Line {
  part: "gateway" | "functions" | "queues" | "logs" | "traffic" | "bucket requests" | "bucket storage";
  usd: number;
}

/** The lines of a batch, whose pictures are uploaded by signed addresses, for one month of stored results. */
export function ofBatch({ receipts, pages, modelMs }: Work): Line[] {
  const seconds = modelMs / 1000;
  return [
    { part: "gateway", usd: receipts * prices.gatewayUnit },
    {
      part: "functions",
      usd:
        seconds * functionGb * prices.lambdaGbSecond +
        receipts * (uploadGbSeconds + planGbSecondsPerItem) * prices.lambdaGbSecond +
        receipts * 2 * prices.lambdaRequest,
    },
    { part: "queues", usd: receipts * queueRequestsPerItem * prices.sqsFifoRequest },
    { part: "logs", usd: receipts * logBytesPerReceipt * prices.logByte },
    { part: "traffic", usd: pages * sentBytesPerPage * prices.trafficByte },
    {
      part: "bucket requests",
      usd: receipts * (bucketWritesPerItem * prices.bucketWrite + bucketReadsPerItem * prices.bucketRead),
    },
    { part: "bucket storage", usd: receipts * storedBytesPerReceipt * prices.bucketByteMonth },
  ];
}

/** The lines of single calls with pictures of `bodyBytes` in the body. */
export function ofCalls({ receipts, pages, modelMs }: Work, bodyBytes: number): Line[] {
  const seconds = modelMs / 1000;
  const units = Math.ceil(bodyBytes / prices.gatewayUnitBytes);
  return [
    { part: "gateway", usd: receipts * units * prices.gatewayUnit },
    {
      part: "functions",
      usd: seconds * functionGb * prices.lambdaGbSecond + receipts * prices.lambdaRequest,
    },
    { part: "queues", usd: 0 },
    { part: "logs", usd: receipts * logBytesPerReceipt * prices.logByte },
    { part: "traffic", usd: pages * sentBytesPerPage * prices.trafficByte },
    { part: "bucket requests", usd: receipts * prices.bucketWrite },
    { part: "bucket storage", usd: receipts * storedBytesPerReceipt * prices.bucketByteMonth },
  ];
}

export const sumOf = (lines: readonly Line[]): number => lines.reduce((sum, { usd }) => sum + usd, 0);
