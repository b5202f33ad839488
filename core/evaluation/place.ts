import type { Row } from "./evaluation.sql.ts";

type Named = Pick<Row, "evalId" | "keyId" | "createdAt">;

/** What every object of an evaluation begins with, and no other's: ids are all of one length. */
export const prefix = ({ evalId, keyId, createdAt }: Named): string =>
  `evals/${createdAt.toISOString().slice(0, 10)}/${keyId}/${evalId}`;

/** Where its artifact lies. */
export const artifact = (row: Named): string => `${prefix(row)}.json`;

/** Where its report lies, once it was asked for it. */
export const report = (row: Named): string => `${prefix(row)}.report.html`;

/** Where a part of its samples lies; `token` keeps what a late worker writes apart. */
export const samples = (row: Named & Pick<Row, "token">, part: number): string =>
  `${prefix(row)}.samples-${row.token}-${part}.jsonl`;

/** Where the counters wait between two parts. */
export const carry = (row: Named & Pick<Row, "token">, part: number): string =>
  `${prefix(row)}.carry-${row.token}-${part}`;
