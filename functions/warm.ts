import * as Bucket from "#core/bucket/bucket";
import * as Document from "#core/document/document";

/**
 * Starts the decoder's process and loads the bucket's client during an instance's first steps (key check, claim), which
 * mostly wait.
 */
export function warmed<A extends unknown[], R>(handler: (...call: A) => R): (...call: A) => R {
  return (...call) => {
    Document.warm();
    const answer = handler(...call);
    // After the first request is on its way.
    setImmediate(warmBucket);
    return answer;
  };
}

function warmBucket(): void {
  try {
    void Bucket.connect().client.warm();
  } catch {
    // A setting is wrong: the call itself answers with it.
  }
}
