/*
 * A suspicion is a connection to the model server that was lost after the picture was sent: the picture may have crashed it.
 * A module of its own: who counts suspicions need not load what asks the model.
 */

/** Suspicions from which on an item is asked in isolation. Only there can it get the last. */
export const isolateFrom = 2;
/** The third suspicion ends the work. */
export const maxSuspects = 3;
