/** Status codes of S3's errors (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
const statuses = {
  AccessDenied: 403,
  AccessForbidden: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  NotModified: 304,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  TooManyRequests: 429,
  XAmzContentSHA256Mismatch: 400,
} as const;

type Code = keyof typeof statuses;

/** An answer other than success; `fields` become further elements of the XML, `headers` of the response. */
export class S3Error extends Error {
  readonly code: Code;
  readonly status: number;
  readonly fields: Record<string, string>;
  readonly headers: Record<string, string>;

  constructor(
    code: Code,
    message: string,
    more: { fields?: Record<string, string>; headers?: Record<string, string>; status?: number } = {},
  ) {
    super(message);
    this.name = "S3Error";
    this.code = code;
    this.status = more.status ?? statuses[code];
    this.fields = more.fields ?? {};
    this.headers = more.headers ?? {};
  }
}

/** The error that a status ordered by a test's hook is answered with. */
export function forStatus(status: number): S3Error {
  const code: Code = status === 429 ? "TooManyRequests" : status === 503 ? "SlowDown" : "InternalError";
  return new S3Error(code, "The request was failed on purpose", { status });
}
