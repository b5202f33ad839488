/**
 * Makes the emulator behave like SQS where it is more lenient or uses another order, so that what would fail in the
 * cloud also fails on a laptop. The package has no settings for this and does not export these classes.
 */

interface Message {
  sequenceNumber?: string;
}

/** The part of the emulator's FIFO queue that hands out messages, by group. */
interface Fifo {
  fifoMessages: Map<string, Message[]>;
  /** Group → how many of its messages are in flight. */
  fifoLockedGroups: Map<string, number>;
  processTimers(): void;
  dequeueFifo(maxCount: number, ...more: unknown[]): unknown[];
}

interface Entry {
  Id: string;
  DelaySeconds?: number;
  ReceiptHandle?: string;
}
type Body = Partial<Entry> & { Entries?: Entry[] };
type Handler = (body: Body, ...more: unknown[]) => unknown;
interface Router {
  register(action: string, handler: Handler): void;
}

/** SQS's error for a whole request, which the emulator turns into an answer. */
type SqsError = new (code: string, message: string) => Error;

/** A message attribute's or parameter's longest delay (API reference, SendMessage). */
const delayMostS = 900;
/** The form of the emulator's receipt handles; anything else is not a handle. */
const handle = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let taught = false;

/** Applied once per process, for every emulator that is started afterwards. */
export async function teach(): Promise<void> {
  if (taught) return;
  taught = true;
  const load = (path: string) => import(new URL(path, import.meta.resolve("fauxqs")).href);
  const { SqsQueue } = (await load("sqs/sqsStore.js")) as { SqsQueue: { prototype: Fifo } };
  const { SqsRouter } = (await load("sqs/sqsRouter.js")) as { SqsRouter: { prototype: Router } };
  const { SqsError } = (await load("common/errors.js")) as { SqsError: SqsError };
  handOut(SqsQueue.prototype);
  refuse(SqsRouter.prototype, SqsError);
}

/**
 * SQS appears to search groups by the age of their first message. The emulator searches them in the order in which
 * they appeared, so a run whose groups never empty would keep all other runs waiting until its end. It also returns
 * only one message per group, while SQS returns as many as possible ("SQS first attempts to return as many messages
 * with the same message group ID as possible", developer guide, FIFO delivery logic).
 */
function handOut(queue: Fifo): void {
  const { dequeueFifo } = queue;
  queue.dequeueFifo = function (maxCount, ...more) {
    this.processTimers();
    const age = (messages: Message[]) => messages[0]?.sequenceNumber ?? "";
    const older = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
    // The emulator puts messages whose visibility ended in front one by one, in reverse order.
    for (const messages of this.fifoMessages.values())
      messages.sort((a, b) => older(a.sequenceNumber ?? "", b.sequenceNumber ?? ""));
    const groups = [...this.fifoMessages].sort(([, a], [, b]) => older(age(a), age(b)));
    this.fifoMessages.clear();
    for (const [group, messages] of groups) this.fifoMessages.set(group, messages);
    const out: unknown[] = [];
    const most = Math.min(maxCount, 10);
    for (const [group] of groups) {
      if (this.fifoLockedGroups.has(group)) continue;
      let taken = 0;
      while (out.length < most && this.fifoMessages.has(group)) {
        this.fifoLockedGroups.delete(group);
        const got = only(this, group, () => dequeueFifo.call(this, 1, ...more));
        taken += got.length;
        if (taken > 0) this.fifoLockedGroups.set(group, taken);
        out.push(...got);
        // All remaining messages of the group went to the dead letters.
        if (got.length === 0) break;
      }
    }
    return out;
  };
}

/** Runs `take` while the queue shows only this group. */
function only(queue: Fifo, group: string, take: () => unknown[]): unknown[] {
  const all = queue.fifoMessages;
  const alone = new Map([[group, all.get(group) ?? []]]);
  queue.fifoMessages = alone;
  try {
    return take();
  } finally {
    queue.fifoMessages = all;
    if (!alone.has(group)) all.delete(group);
    // The visibility ended at this moment.
    for (const [other, messages] of alone)
      if (all.get(other) !== messages) all.set(other, [...messages, ...(all.get(other) ?? [])]);
  }
}

/**
 * Refuses delays that SQS does not accept, and handles that it never gave out, for one message or for some of a batch.
 */
function refuse(router: Router, SqsError: SqsError): void {
  const { register } = router;
  const delay = ({ DelaySeconds = 0 }: Partial<Entry>) =>
    DelaySeconds >= 0 && DelaySeconds <= delayMostS
      ? undefined
      : {
          Code: "InvalidParameterValue",
          Message: `Value ${DelaySeconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= ${delayMostS}.`,
        };
  const receipt = ({ ReceiptHandle = "" }: Partial<Entry>) =>
    handle.test(ReceiptHandle)
      ? undefined
      : {
          Code: "ReceiptHandleIsInvalid",
          Message: `The input receipt handle "${ReceiptHandle}" is not valid.`,
        };
  const faults: Record<string, typeof delay | typeof receipt> = {
    SendMessage: delay,
    SendMessageBatch: delay,
    DeleteMessage: receipt,
    DeleteMessageBatch: receipt,
    ChangeMessageVisibility: receipt,
    ChangeMessageVisibilityBatch: receipt,
  };
  router.register = function (action, handler) {
    const faultOf = faults[action];
    register.call(this, action, faultOf === undefined ? handler : checked);
    async function checked(body: Body, ...more: unknown[]): Promise<unknown> {
      const { Entries } = body;
      if (faultOf === undefined || Entries === undefined) {
        const fault = faultOf?.(body);
        if (fault !== undefined) throw new SqsError(fault.Code, fault.Message);
        return handler(body, ...more);
      }
      const refused = Entries.flatMap((entry) => {
        const fault = faultOf(entry);
        return fault === undefined ? [] : [{ Id: entry.Id, SenderFault: true, ...fault }];
      });
      const good = Entries.filter((entry) => faultOf(entry) === undefined);
      if (good.length === 0 && refused.length > 0) return { Successful: [], Failed: refused };
      const answer = (await handler({ ...body, Entries: good }, ...more)) as { Failed?: unknown[] };
      return { ...answer, Failed: [...(answer.Failed ?? []), ...refused] };
    }
  };
}
