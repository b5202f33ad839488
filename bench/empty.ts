/** A function that does nothing: the part of a cold start that every function has. */
export const handler = async () => ({ statusCode: 204 });
