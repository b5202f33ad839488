/**
 * How far the files of a finishing run are written. The bytes of a document depend only on the rows and the items'
 * artifacts, so a step after a crash writes the same bytes again: it begins at `row`, of which `skip` bytes are
 * already in the parts or in the carry.
 */
export interface Finishing {
  /** How the run will end. */
  outcome: "succeeded" | "canceled";
  /**
   * The version of the code that writes them. Another version may write other bytes, so it begins again. Absent in
   * older rows.
   */
  version?: string;
  /** The index of the next document in the list of document.ts. */
  document: number;
  /** The multipart upload in progress; only for a document that is larger than a part. */
  uploadId: string | null;
  etags: string[];
  /** The next section of the document, the row at which it continues, and how much of that is done. */
  section: number;
  row: number;
  skip: number;
  /** Where that row begins in the first document, from which the others are made. */
  offset: number;
  /** Bytes that did not fill a part when a step's time was over. They are stored in an object of their own. */
  carry: number;
  /** True if such an object was ever made for this run. */
  carried: boolean;
  /** Inputs are deleted up to this index; -1 if none was. */
  inputsDeleted: number;
}

/** Where the writing of a run's files begins. */
export function begin(outcome: Finishing["outcome"], version: string): Finishing {
  return { outcome, version, ...nextDocument(0), carried: false, inputsDeleted: -1 };
}

/** The beginning of a document. */
export function nextDocument(
  document: number,
): Pick<Finishing, "document" | "uploadId" | "etags" | "section" | "row" | "skip" | "offset" | "carry"> {
  return { document, uploadId: null, etags: [], section: 0, row: 0, skip: 0, offset: 0, carry: 0 };
}
