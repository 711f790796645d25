import http from "node:http";

/** The response to a request for a WebSocket: 101 where it is opened, and then it is closed. */
export function requestUpgrade(
  url: string,
  more: Readonly<Record<string, string>>,
): Promise<http.IncomingMessage> {
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
    asked.on("response", response => resolve(response.resume()));
    asked.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response);
    });
  });
}

export async function upgradeStatus(url: string, more: Readonly<Record<string, string>>): Promise<number> {
  return (await requestUpgrade(url, more)).statusCode ?? 0;
}
