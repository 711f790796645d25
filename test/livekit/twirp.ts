import http from "node:http";
import type { AddressInfo } from "node:net";
import { type ClaimGrants, TokenVerifier } from "livekit-server-sdk";
import { apiKey, apiSecret } from "./system.js";

export interface TwirpCall {
  readonly method: string;
  // biome-ignore lint/suspicious/noExplicitAny: what was sent, as JSON
  readonly body: any;
}

export interface TwirpServer {
  readonly port: number;
  /** In the order in which they came, those that were not refused for their token. */
  readonly calls: TwirpCall[];
  close(): void;
}

/**
 * A server of LiveKit's Twirp API.
 * @param respond gives status and JSON of the response; `claims` are those of a token with the right key
 */
export async function startTwirp(
  respond: (call: TwirpCall & { readonly claims: ClaimGrants }) => Promise<[number, unknown]>,
): Promise<TwirpServer> {
  const verifier = new TokenVerifier(apiKey, apiSecret);
  const calls: TwirpCall[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    const claims = await verifier.verify(token).catch(() => undefined);
    const method = request.url?.split("/").at(-1) ?? "";
    if (claims !== undefined) calls.push({ method, body });
    const [status, json] =
      claims === undefined
        ? [401, { code: "unauthenticated", msg: "invalid token" }]
        : await respond({ method, body, claims });
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(json));
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    calls,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
