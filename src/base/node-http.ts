// SPDX-License-Identifier: Apache-2.0
// node:http for less memory. An import of it reads every one of its exports, WebSocket among them, and so loads Node's fetch
// and WebSocket client: 19 MB of RSS on Node 26, against 4 MB this way. Types may be imported; node:https is harmless.

export const { Agent, createServer, request } = process.getBuiltinModule('node:http');
