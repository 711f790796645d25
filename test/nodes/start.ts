import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { WebSocket } from "ws";
import { freePorts } from "../ports.js";

// `npm start` on the Node.js that runs this: the demo must come up, answer a request, take a socket and end by itself.

const [http = 0, realtime = 0, admin = 0] = await freePorts(3);
const child = spawn("npm", ["start"], {
  env: { ...process.env, HTTP_PORT: `${http}`, REALTIME_PORT: `${realtime}`, ADMIN_PORT: `${admin}` },
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = once(child, "exit");
let output = "";
const running = new Promise<void>((resolve, reject) => {
  child.stdout.on("data", chunk => {
    output += chunk;
    if (output.includes("Protogate is running.")) resolve();
  });
  void ended.then(() => reject(new Error(`npm start has ended:\n${output}`)));
});
await running;
const response = await fetch(`http://127.0.0.1:${http}/v1/articles`);
assert.equal(response.status, 200);
for (const port of [http, realtime]) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await once(socket, "open");
  socket.send('{"type":"join-room","room_id":"x","from":"a","id":1}');
  const [ack] = await once(socket, "message");
  assert.equal(JSON.parse(String(ack)).type, "ack");
  socket.terminate();
}
child.kill("SIGTERM");
const [code] = await ended;
assert.equal(code, 0);
const engine = /served by the portable engine/.test(output) ? "portable" : "uws";
process.stdout.write(`npm start works on Node.js ${process.version}; sockets are served by ${engine}\n`);
