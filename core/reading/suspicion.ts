/*
 * A suspicion is a connection to the model server that was lost after the picture was sent: the picture may have
 * crashed it. It is a module of its own, so that counting suspicions does not load the code that asks the model.
 */

/** Suspicions from which on an item is asked in isolation. Only there can it get the last. */
export const isolateFrom = 2;
/** The third suspicion ends the work. */
export const maxSuspects = 3;
