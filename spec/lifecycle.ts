import { times } from "./limits.ts";

/** What the bucket removes by its own rules: plain data, for the bucket and for tests. */
interface Rule {
  readonly id: string;
  /** Applies to keys with this prefix; empty for all. */
  readonly prefix: string;
  readonly what: "objects" | "unfinished uploads";
  readonly afterSeconds: number;
}

const day = 86_400;

/**
 * The rules for a bucket whose keys all begin with `S3_PREFIX` of the deploying environment. They are a safety net: the
 * functions remove these objects earlier, unless they were killed. No rule touches an artifact.
 */
export function rules(env: Readonly<Record<string, string | undefined>>): Rule[] {
  const prefix = (env.S3_PREFIX ?? "").replace(/^\/+|\/+$/g, "");
  const below = (folder: string) => (prefix === "" ? folder : `${prefix}/${folder}`);
  return [
    { id: "handed-over-inputs", prefix: below("inputs/tmp/"), what: "objects", afterSeconds: day },
    {
      id: "uploads",
      prefix: below("inputs/uploads/"),
      what: "objects",
      // The functions remove unused uploads after a week. A run that waits for its model server still needs its
      // uploads, and a bucket rule cannot tell the two apart.
      afterSeconds: times().uploadKeepMs / 1000 + 14 * day,
    },
    // Lists of large folders, from which the planner makes rows; it finishes long before this.
    { id: "folder-lists", prefix: below("inputs/manifests/"), what: "objects", afterSeconds: 7 * day },
    { id: "backups", prefix: below("backups/"), what: "objects", afterSeconds: day },
    // Unfinished uploads cost storage and appear in no listing.
    { id: "unfinished-uploads", prefix: below(""), what: "unfinished uploads", afterSeconds: day },
  ];
}
