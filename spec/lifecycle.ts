import { times } from "./limits.ts";

/** What the bucket removes by itself: plain data, for the bucket and for tests. */
interface Rule {
  readonly id: string;
  /** Keys that begin so; empty for all. */
  readonly prefix: string;
  readonly what: "objects" | "unfinished uploads";
  readonly afterSeconds: number;
}

const day = 86_400;

/**
 * The rules for a bucket whose keys all begin with `S3_PREFIX` of the deploying environment. They are a second net: the functions remove these
 * objects themselves, and earlier, unless they were killed. Nothing here touches an artifact.
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
      // The functions sweep those that nobody uses after a week. A run that waits for its model server still needs its
      // own, and a rule of the bucket cannot tell them apart.
      afterSeconds: times().uploadKeepMs / 1000 + 14 * day,
    },
    // Lists of large folders, of which the planner makes rows; it is through long before.
    { id: "folder-lists", prefix: below("inputs/manifests/"), what: "objects", afterSeconds: 7 * day },
    { id: "backups", prefix: below("backups/"), what: "objects", afterSeconds: day },
    // They cost storage and are in no list.
    { id: "unfinished-uploads", prefix: below(""), what: "unfinished uploads", afterSeconds: day },
  ];
}
