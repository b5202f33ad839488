import * as Document from "#core/document/document";

/** Starts the decoder's process during an instance's first steps (key check, claim), which mostly wait. */
export function withDecoder<A extends unknown[], R>(handler: (...call: A) => R): (...call: A) => R {
  return (...call) => {
    Document.warm();
    return handler(...call);
  };
}
