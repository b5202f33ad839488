/** A function that does nothing: what every cold start pays anyway. */
export const handler = async () => ({ statusCode: 204 });
