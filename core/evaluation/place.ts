import type { Row } from "./evaluation.sql.ts";

type Named = Pick<Row, "evalId" | "keyId" | "createdAt">;

/** The key prefix of every object of an evaluation. Ids have a fixed length, so no other evaluation shares it. */
export const prefix = ({ evalId, keyId, createdAt }: Named): string =>
  `evals/${createdAt.toISOString().slice(0, 10)}/${keyId}/${evalId}`;

/** Key of its artifact. */
export const artifact = (row: Named): string => `${prefix(row)}.json`;

const reports = { whole: "report", plain: "report-plain", cut: "report-cut" } as const;

/** The key of its report, once one was made: with pictures, without, or with the pictures for which there was time. */
export const report = (row: Named, which: keyof typeof reports): string =>
  `${prefix(row)}.${reports[which]}.html`;

/** Key of a part of its samples; `token` separates the writes of a late worker. */
export const samples = (row: Named & Pick<Row, "token">, part: number): string =>
  `${prefix(row)}.samples-${row.token}-${part}.jsonl`;

/** Key of the counters between two parts. */
export const carry = (row: Named & Pick<Row, "token">, part: number): string =>
  `${prefix(row)}.carry-${row.token}-${part}`;
