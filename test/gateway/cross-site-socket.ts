import http from "node:http";

/** The status of the response to a request for a WebSocket: 101 where it is opened, and then it is closed. */
export function upgradeStatus(url: string, more: Readonly<Record<string, string>>): Promise<number> {
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...more,
  };
  const asked = http.get(url, { headers, agent: false });
  return new Promise((resolve, reject) => {
    asked.on("error", reject);
    asked.on("response", response => resolve(response.resume().statusCode ?? 0));
    asked.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
  });
}
