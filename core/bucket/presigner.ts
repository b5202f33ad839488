// In a file of its own, so that it is loaded when the first address is signed: a CommonJS package that is loaded by import()
// has no named exports in a bundle.
export { getSignedUrl } from "@aws-sdk/s3-request-presigner";
