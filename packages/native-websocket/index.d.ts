export declare const WebSocket: typeof globalThis.WebSocket;
