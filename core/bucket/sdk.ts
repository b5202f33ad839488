/** The SDK's parts for the bucket, in a file of their own: core/bucket/client.ts loads it at the first call. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

export { S3Client } from "@aws-sdk/client-s3";

/** By the operation's name. What it takes is in client.ts. */
export const commands = {
  CompleteMultipartUpload: CompleteMultipartUploadCommand,
  CreateMultipartUpload: CreateMultipartUploadCommand,
  DeleteObject: DeleteObjectCommand,
  GetObject: GetObjectCommand,
  HeadObject: HeadObjectCommand,
  ListObjectsV2: ListObjectsV2Command,
  PutObject: PutObjectCommand,
  UploadPart: UploadPartCommand,
} satisfies Record<string, new (input: never) => object>;
