import type { Model } from "#core/config";

/*
 * Where a managed pod's model server is. The address follows the pod (core/pod) and is read with the breaker, in the same
 * round trip as a claim, so that each call has the present one at no cost.
 */

let known: string | null | undefined;

/** Notes the address that was read with the breaker; nothing if there is none. */
export function note(address: string | null | undefined): void {
  known = address;
}

/** The model server as it was last read; the same one if no pod is managed, or its address is not known. */
export function at<M extends Pick<Model, "baseUrl" | "managed">>(model: M): M {
  return model.managed === true && known ? { ...model, baseUrl: known } : model;
}
