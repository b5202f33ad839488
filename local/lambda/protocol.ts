/** The messages between the loop and an instance, over the IPC channel of the child process. */

export interface Invoke {
  readonly type: "invoke";
  readonly requestId: string;
  /** The event as JSON: Lambda's limits count these bytes. */
  readonly event: string;
  /** Unix time in ms at which the instance is killed. */
  readonly deadline: number;
  readonly functionArn: string;
  readonly traceId: string;
}

/** A function's error as Lambda reports it. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export type FromInstance =
  | { readonly type: "ready" }
  | { readonly type: "init_error"; readonly error: FunctionError }
  /** `payload` is the result as JSON. */
  | { readonly type: "result"; readonly requestId: string; readonly payload: string }
  | { readonly type: "error"; readonly requestId: string; readonly error: FunctionError };
