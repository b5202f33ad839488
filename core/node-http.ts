/*
 * Node's HTTP and TLS, loaded on first use and never by `import`: a module that imports `node:http` makes Node read all
 * of its exports, and one of these (`WebSocket`) loads undici, which takes 36 ms of a cold start. TLS takes 13 ms.
 */

/** `node:http`. */
export const http = () => process.getBuiltinModule("node:http");
/** `node:https`. */
export const https = () => process.getBuiltinModule("node:https");
