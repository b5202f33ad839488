import type { IncomingMessage, ServerResponse } from "node:http";
import type { Blobs } from "#local/s3/blobs";
import type { BodySource } from "#local/s3/body";
import type { Catalog } from "#local/s3/catalog";
import { S3Error } from "#local/s3/error";
import { type Content, render } from "#local/s3/xml";

/** One request whose signature has been checked, and what it needs to be answered. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  requestId: string;
  operation: Operation;
  bucket: string;
  key: string;
  query: Map<string, string>;
  /** Lower-case names; of a presigned URL also the x-amz-* headers that were moved into its query. */
  headers: Record<string, string>;
  /** The body's hash or coding by the signature. */
  payload: string;
  catalog: Catalog;
  blobs: Blobs;
}

export type Operation =
  | "ListBuckets"
  | "HeadBucket"
  | "CreateBucket"
  | "DeleteBucket"
  | "GetBucketLocation"
  | "ListObjectsV2"
  | "DeleteObjects"
  | "PutObject"
  | "CopyObject"
  | "GetObject"
  | "HeadObject"
  | "DeleteObject"
  | "CreateMultipartUpload"
  | "UploadPart"
  | "CompleteMultipartUpload"
  | "AbortMultipartUpload"
  | "ListParts";

/** Parts of S3 that are named in the query and not offered: never to be taken for the plain operation. */
const unsupported =
  "acl tagging retention legal-hold torrent versions versionId versioning policy policyStatus lifecycle cors website encryption replication notification logging accelerate requestPayment inventory analytics metrics intelligent-tiering ownershipControls publicAccessBlock object-lock restore select attributes partNumber renameObject append session uploads".split(
    " ",
  );

/** What identifies an operation; bucket and key are empty if the path names none. */
interface Asked {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Which operation a request is. Throws S3Error NotImplemented or MethodNotAllowed. */
export function operationOf(asked: Asked): Operation {
  const { query } = asked;
  const found = lookUp(asked);
  const used = usedParameters[found] ?? [];
  const other = unsupported.find((name) => query.has(name) && !used.includes(name));
  if (other !== undefined) throw new S3Error("NotImplemented", `?${other} is not implemented`);
  return found;
}

const usedParameters: Partial<Record<Operation, string[]>> = {
  CreateMultipartUpload: ["uploads"],
  UploadPart: ["partNumber"],
};

function lookUp({ method, bucket, key, query, headers }: Asked): Operation {
  if (bucket === "") {
    if (method === "GET") return "ListBuckets";
  } else if (key === "") {
    if (method === "HEAD") return "HeadBucket";
    if (method === "PUT") return "CreateBucket";
    if (method === "DELETE") return "DeleteBucket";
    if (method === "POST" && query.has("delete")) return "DeleteObjects";
    if (method === "GET" && query.has("location")) return "GetBucketLocation";
    if (method === "GET" && query.get("list-type") === "2") return "ListObjectsV2";
    if (method === "GET") throw new S3Error("NotImplemented", "Use ListObjectsV2 (list-type=2)");
  } else {
    const upload = query.has("uploadId");
    if (method === "PUT" && upload) {
      if (headers["x-amz-copy-source"] !== undefined)
        throw new S3Error("NotImplemented", "UploadPartCopy is not implemented");
      return "UploadPart";
    }
    if (method === "PUT") return headers["x-amz-copy-source"] === undefined ? "PutObject" : "CopyObject";
    if (method === "GET") return upload ? "ListParts" : "GetObject";
    if (method === "HEAD") return "HeadObject";
    if (method === "DELETE") return upload ? "AbortMultipartUpload" : "DeleteObject";
    if (method === "POST" && query.has("uploads")) return "CreateMultipartUpload";
    if (method === "POST" && upload) return "CompleteMultipartUpload";
  }
  throw new S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.");
}

/** The request's body. A client that waits for `100 Continue` is told to send it only now. */
export function body(call: Call): BodySource {
  if (call.headers.expect?.toLowerCase() === "100-continue") call.response.writeContinue();
  // The stream must outlive a refusal: destroying it would cut the connection before the answer.
  const stream = call.request.iterator({ destroyOnReturn: false });
  return { stream, headers: call.headers, payload: call.payload };
}

/** Sends an answer without a body. */
export function reply(call: Call, status: number, headers: Record<string, string | number> = {}): void {
  call.response.writeHead(status, { ...(status === 204 ? {} : { "content-length": 0 }), ...headers });
  call.response.end();
}

/** Sends an XML answer. */
export function replyXml(
  call: Call,
  name: string,
  content: Content,
  headers: Record<string, string> = {},
): void {
  const text = render(name, content);
  call.response.writeHead(200, {
    "content-type": "application/xml",
    "content-length": Buffer.byteLength(text),
    ...headers,
  });
  call.response.end(text);
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
