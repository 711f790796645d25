import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import type { JWK } from "jose";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server of key sets on loopback; closed when the test file ends. */
export interface Issuer {
  readonly url: string;
  /** How often the keys were asked for. */
  readonly fetches: number;
  /** What is answered from now on. */
  answer: Answer;
  /** Answers these keys from now on. */
  serve(...keys: JWK[]): void;
  /** Resolves when the keys have been asked for that often. */
  fetched(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function startIssuer(...keys: JWK[]): Promise<Issuer> {
  let fetches = 0;
  const waiting = new Set<() => void>();
  const server: Server = createServer((request, response) => {
    fetches++;
    for (const look of waiting) look();
    issuer.answer(request, response);
  });
  const serve = (...served: JWK[]): void => {
    issuer.answer = (_, response) => {
      response.setHeader("content-type", "application/jwk-set+json");
      response.end(JSON.stringify({ keys: served }));
    };
  };
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const issuer: Issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    get fetches() {
      return fetches;
    },
    answer: () => undefined,
    serve,
    fetched: count =>
      new Promise(resolve => {
        const look = (): void => {
          if (fetches < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close,
  };
  serve(...keys);
  after(close);
  return issuer;
}
