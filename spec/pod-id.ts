/** What a pod's id at its provider may be: nothing that could lead a path elsewhere. */
export const podIdPattern = /^[A-Za-z0-9_-]{1,64}$/;
