import * as Image from "#core/image/image";

/** Starts the decoder's process during an instance's first steps (key check, claim), which mostly wait. */
export function withDecoder<A extends unknown[], R>(handler: (...call: A) => R): (...call: A) => R {
  return (...call) => {
    Image.warm();
    return handler(...call);
  };
}
