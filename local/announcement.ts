/** The message of `npm start` when it is ready: where everything is, and how to look at it. */
import { databaseUrl, type Env } from "#local/home/home";
import type { Loop } from "#local/loop";

type Told = Pick<Loop, "apiKey" | "apiKeyPath" | "bucket" | "env" | "home" | "logPath" | "modelPid" | "url">;

/**
 * The address comes last: programs wait for that line. No line has a secret, only the paths of the files with secrets.
 */
export function lines(
  loop: Told,
  env: Env,
  { platform, model = [] }: { platform: NodeJS.Platform; model?: readonly string[] },
): string[] {
  const { apiKey, apiKeyPath, bucket, logPath, url } = loop;
  const rows: [string, ...string[]][] = [
    ["data", loop.home, ...databaseOf(env)],
    ["log", `${logPath}   (npm run ocrlty -- logs --follow)`],
    [
      "key",
      apiKey === undefined
        ? "local-admin is revoked: npm run keys -- create-key makes another"
        : `local-admin, role admin, in ${apiKeyPath}`,
    ],
    [
      "model",
      loop.modelPid() === undefined
        ? `${loop.env.VLLM_MODEL ?? "the default model"} ${loop.env.POD_MANAGER === "on" ? "in the managed pod, which is started when work waits" : "at VLLM_BASE_URL"}`
        : "the stand-in local-ocr, as VLLM_BASE_URL is not set",
      ...model,
    ],
    bucket === undefined
      ? ["bucket", `${loop.env.S3_BUCKET} of S3_BUCKET, yours`]
      : [
          "bucket",
          `${bucket.name} at ${bucket.url}, credentials in ${bucket.awsFile}`,
          ...looks(bucket, platform),
        ],
    ["docs", `${url}/docs`],
  ];
  if (loop.env.AUTH_ENABLED !== undefined && /^(0|false)$/i.test(loop.env.AUTH_ENABLED))
    rows.push(["keys", "AUTH_ENABLED is off: every call runs as anonymous, without a key"]);
  return [
    ...rows.flatMap(([name, ...text]) => text.map((line, i) => `${(i === 0 ? name : "").padEnd(8)}${line}`)),
    `OCRlty is ready at ${url}`,
  ];
}

/** Mentions a database elsewhere, without its address, which may have a token. */
const databaseOf = (env: Env): string[] =>
  databaseUrl(env).startsWith("file:") ? [] : ["keys and runs are in the database of DATABASE_URL"];

/** How aws and rclone list the bucket, ready to be pasted. */
function looks(
  { name, url, awsFile, rcloneFile }: NonNullable<Loop["bucket"]>,
  platform: NodeJS.Platform,
): string[] {
  const aws = `aws s3 ls s3://${name} --recursive --endpoint-url ${url}`;
  return [
    platform === "win32"
      ? `$env:AWS_SHARED_CREDENTIALS_FILE="${awsFile}"; ${aws}`
      : `AWS_SHARED_CREDENTIALS_FILE=${quoted(awsFile)} ${aws}`,
    `rclone --config ${platform === "win32" ? `"${rcloneFile}"` : quoted(rcloneFile)} ls ${name}:${name}`,
  ];
}

/** For a POSIX shell. */
const quoted = (text: string) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
