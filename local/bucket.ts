/**
 * The bucket of the loop: the operator's, or the S3 stand-in in the folder, with the files that other programs need to
 * read it.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as Config from "#core/config";
import { PortError } from "#local/gateway/server";
import type { Env, Home } from "#local/home/home";
import { bucketName, bucketStandIn, missingDataRoot } from "#local/home/settings";
import * as S3Server from "#local/s3/server";

/** Under the prefix: where every key sees pictures. */
const shared = "data/shared/";
/** How other programs read the stand-in's bucket; readable only by the folder's owner. */
export interface Access {
  readonly name: string;
  readonly url: string;
  /** For aws and the SDKs, as `AWS_SHARED_CREDENTIALS_FILE`. */
  readonly awsFile: string;
  /** For rclone, with a remote `ocrlty`. */
  readonly rcloneFile: string;
}

interface Options {
  /** 0: any free port. */
  readonly port: number;
  /** The port is only a default: if it is taken, any free one is used. */
  readonly mayMove: boolean;
  readonly region: string;
  readonly onRequest?: S3Server.Hook | undefined;
  readonly warn?: ((line: string) => void) | undefined;
}

/**
 * Starts the stand-in and writes the files that say how to reach it.
 * @throws PortError if a requested port is taken.
 */
export async function start(
  env: Env,
  home: Home,
  { port, mayMove, region, onRequest, warn }: Options,
): Promise<{ server: S3Server.S3Server; access: Access; settings: Readonly<Record<string, string>> }> {
  const missing = missingDataRoot(env, home);
  if (missing !== undefined) warn?.(missing);
  const credentials = credentialsOf(home);
  const { S3_PREFIX: prefix } = Config.parse("bucket", { ...env, ...bucketStandIn });
  const options = {
    dir: home.file("s3"),
    buckets: [bucketName],
    region,
    ...credentials,
    folder: {
      bucket: bucketName,
      dir: home.dataRoot,
      prefix: `${prefix === "" ? "" : `${prefix}/`}${shared}`,
    },
    ...(onRequest === undefined ? {} : { onRequest }),
  };
  const server = await S3Server.start({ ...options, port }).catch((error: unknown) => {
    if (!isTaken(error)) throw error;
    if (!mayMove)
      throw new PortError(
        `port ${port}, the bucket's, is in use: stop what runs there, or set BUCKET_PORT (0 = any free port)`,
        { cause: error },
      );
    warn?.(`port ${port} is in use, so the bucket is at another one: set BUCKET_PORT to one that it keeps`);
    return S3Server.start({ ...options, port: 0 });
  });
  const { accessKeyId, secretAccessKey } = credentials;
  const awsFile = home.file("aws-credentials");
  const rcloneFile = home.file("rclone.conf");
  writePrivate(
    awsFile,
    `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\nregion = ${region}\n`,
  );
  writePrivate(
    rcloneFile,
    `[${bucketName}]\ntype = s3\nprovider = Other\naccess_key_id = ${accessKeyId}\nsecret_access_key = ${secretAccessKey}\nendpoint = ${server.url}\nregion = ${region}\n`,
  );
  return {
    server,
    access: { name: bucketName, url: server.url, awsFile, rcloneFile },
    settings: {
      S3_BUCKET: bucketName,
      S3_ENDPOINT_URL: server.url,
      S3_REGION: region,
      S3_FORCE_PATH_STYLE: "1",
      S3_ACCESS_KEY_ID: accessKeyId,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
    },
  };
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

/** Made once, so that signed URLs stay valid after a restart. */
function credentialsOf(home: Home): { accessKeyId: string; secretAccessKey: string } {
  const path = home.file("s3-credentials.json");
  if (!fs.existsSync(path)) {
    const made = {
      accessKeyId: `LOCAL${randomBytes(8).toString("hex").toUpperCase()}`,
      secretAccessKey: randomBytes(30).toString("base64url"),
    };
    writePrivate(path, `${JSON.stringify(made)}\n`);
  }
  return JSON.parse(fs.readFileSync(path, "utf8"));
}

/** Written atomically, so that no reader gets half of it. */
function writePrivate(path: string, text: string): void {
  fs.writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
  fs.renameSync(`${path}.tmp`, path);
}
