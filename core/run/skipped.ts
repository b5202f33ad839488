import * as z from "zod";

/* Files of a folder that did not become items, counted by reason before the pattern is applied. */

/** Why a file of a folder was left out, in words. Later versions may add reasons. */
export const reasons = {
  excluded_by_glob: "names that do not match the glob",
  excluded_by_exts: "extensions that exts does not name",
  hidden: "names that begin with a dot",
  system: "files of systems and viewers, such as Thumbs.db",
  not_supported: "documents and pictures of types that are not read, such as DOCX and JPEG XL",
  not_what_it_is_called: "named like a picture, but the first bytes are not one's",
  no_picture: "files whose first bytes are not a picture's",
  empty: "empty files",
  unreadable: "files that cannot be read",
  link_out: "links that lead out of the folder, or nowhere",
  link_to_folder: "links to folders, which are not followed",
  no_file: "special files (pipes, sockets, devices)",
  not_looked_at: "files without the extension of a picture, too many to read their first bytes",
} as const;
export type Reason = keyof typeof reasons;

const Reason = z.enum(Object.keys(reasons) as [Reason]).meta({ id: "SkipReason" });

/** How many names are listed. */
const firstMost = 20;

/** The answer about the files of a folder that were left out. */
export const Skipped = z
  .object({
    count: z.int().meta({ description: "Files that did not become items." }),
    by_reason: z.partialRecord(Reason, z.int()),
    first: z
      .array(z.object({ file: z.string(), reason: Reason }))
      .meta({ description: `The first ${firstMost}, by the names that they have in the folder.` }),
  })
  .meta({
    id: "Skipped",
    description:
      "Files of the folder that did not become items. Files after the last item within `limit` are not counted.",
  });
export type Skipped = z.output<typeof Skipped>;

/** An empty count. */
export const none = (): Skipped => ({ count: 0, by_reason: {}, first: [] });

/** Counts a file, and lists its name if it is among the first. */
export function add(skipped: Skipped, file: string, reason: Reason): void {
  skipped.count += 1;
  skipped.by_reason[reason] = (skipped.by_reason[reason] ?? 0) + 1;
  if (skipped.first.length < firstMost) skipped.first.push({ file, reason });
}
