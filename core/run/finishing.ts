/**
 * How far the files of a finished run are written. A document is a sequence of bytes that follows from the rows and
 * the items' artifacts alone, so a step that crashed writes the same again: it begins at `row`, of which `skip` bytes are in the parts
 * (or in the carry) already.
 */
export interface Finishing {
  /** How the run will end. */
  outcome: "succeeded" | "canceled";
  /** Of the code that writes them: another version may write other bytes, and begins again. Absent in older rows. */
  version?: string;
  /** Which document of the list in document.ts is next. */
  document: number;
  /** The multipart upload in progress, once the document turned out to be larger than a part. */
  uploadId: string | null;
  etags: string[];
  /** Which section of the document comes next, from which row on, and how much of that is done. */
  section: number;
  row: number;
  skip: number;
  /** Where in the first document that row begins, from which the others are made. */
  offset: number;
  /** Bytes that did not fill a part when a step's time was over; they wait in an object of their own. */
  carry: number;
  /** Such an object was ever made for this run. */
  carried: boolean;
  /** Inputs are deleted up to this index; -1: none yet. */
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
