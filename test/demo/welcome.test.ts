import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { root, scriptArguments } from "../node-script.js";

/** What each command must print, by a part of it. */
const answers: Readonly<Record<string, RegExp>> = {
  "/v1/articles": /"articles":\[/,
  "/v1/messages": /^\{"request":\{"messageId":"123456","revision":"2"/,
  "/rooms/Nowhere": /^HTTP\/1\.1 404 /,
  "/trpc/v1/users": /^\{"request":\{"messageId":"123456","userId":"me"\}\}/,
  "new WebSocket": /"type":"receive-message".*"from":"Terminal","message":"Hello"/,
  "/chat/send": /"from":"Curl","message":"Hello"/,
  "/chat/receive": /^\{"messages":\[\{"type":"receive-message"/,
  "/chat/rooms/general/entries": /^data:\{"kind":"JOIN","from":"Terminal"/m,
  "/chat.v1.Rooms/GetHistory": /^\{"entries":\[/,
  "/user/rtc/get_token": /^\{"errCode":0,.*"serverUrl"/,
  "/metrics": /protogate_http_requests_total\{route="\/v1\/articles".*\nprotogate_ws_connections \d/s,
};

/** What a command prints; one that goes on is ended after its first line. */
function outputOf(command: string): Promise<string> {
  return new Promise(done => {
    const child = spawn("bash", ["-c", command], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
    let endless = command.includes("new WebSocket");
    let output = "";
    child.stdout.on("data", chunk => {
      output += chunk;
      if (!endless || !output.includes("\n")) return;
      endless = false;
      process.kill(-(child.pid as number));
    });
    child.once("close", () => done(output));
  });
}

describe("npm start", () => {
  const demo = spawn(process.execPath, [...scriptArguments("src/main.ts"), "demo"], {
    cwd: root,
    env: { ...process.env, HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(demo, "exit");
  const lines: string[] = [];
  before(async () => {
    for await (const line of createInterface({ input: demo.stdout })) {
      lines.push(line);
      if (line.includes("Stop with Ctrl-C")) break;
    }
    demo.stdout.resume();
  });
  after(() => demo.kill());

  it("npm start prints commands that do what they are printed for", async () => {
    const commands = lines.flatMap(line => (/^ {4}(?:curl|node|token=) ?\S/.test(line) ? [line.trim()] : []));
    const told = new Set<string>();
    for (const [index, command] of commands.entries()) {
      if (command.startsWith("token=")) continue;
      const before = commands[index - 1]?.startsWith("token=") ? `${commands[index - 1]}\n` : "";
      const [name, says] = Object.entries(answers).find(([part]) => command.includes(part)) ?? [];
      assert.ok(name !== undefined && says !== undefined, command);
      assert.match(await outputOf(before + command), says, command);
      told.add(name);
    }
    assert.deepEqual([...told], Object.keys(answers));
  });

  it("leads a browser to the chat page", async () => {
    const rest = /REST +(\S+)$/m.exec(lines.join("\n"))?.[1];
    const answer = await fetch(`${rest}/`);
    assert.deepEqual([answer.status, new URL(answer.url).pathname], [200, "/demo"]);
  });

  it("npm start prints where the chat page is", async () => {
    const page =
      lines
        .find(line => /^ {2}chat page +http/.test(line))
        ?.split(/ +/)
        .at(-1) ?? "";
    const answer = await fetch(page);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/html/);
    assert.match(
      answer.headers.get("content-security-policy") ?? "",
      /^default-src 'none'; script-src 'self';/,
    );
  });

  it("npm start prints where the documents page is, and the chat page links it and the OpenAPI document", async () => {
    const documents = /documents +(\S+)$/m.exec(lines.join("\n"))?.[1] ?? "";
    assert.equal((await fetch(documents)).status, 200);
    const chat = await (await fetch(documents.replace("/docs", "/demo"))).text();
    for (const link of ["/docs", "/openapi.json"]) assert.ok(chat.includes(`href="${link}"`), link);
  });

  it("npm start ends sockets with 1012 and after how long to come back, and exits 0", async () => {
    const url = /WebSockets +(\S+)$/m.exec(lines.join("\n"))?.[1] ?? "";
    const socket = new WebSocket(url);
    await once(socket, "open");
    const closed = once(socket, "close");
    demo.kill("SIGINT");
    const [code, reason] = await closed;
    assert.equal(code, 1012);
    const { reason: why, retry_after: retry } = JSON.parse(String(reason));
    assert.equal(why, "SHUTTING_DOWN");
    assert.ok(retry >= 1);
    assert.deepEqual(await exit, [0, null]);
  });
});

describe("npm start where a port is taken", () => {
  it("npm start where a port is taken says so and exits 1", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const demo = spawn(process.execPath, [...scriptArguments("src/main.ts"), "demo"], {
      cwd: root,
      env: { ...process.env, HTTP_PORT: String(port), REALTIME_PORT: "0", ADMIN_PORT: "0" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    demo.stderr.on("data", chunk => {
      errors += chunk;
    });
    const exit = await once(demo, "close");
    taken.close();
    assert.deepEqual(exit, [1, null]);
    assert.match(
      errors,
      /the address is in use by another process \(at listeners\.http\.address\)\nOther ports: HTTP_PORT=/,
    );
  });
});
