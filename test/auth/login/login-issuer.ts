import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Provider, { type Configuration } from "oidc-provider";

/** A real issuer, oidc-provider, whose pages log anybody in. */
export interface LoginIssuer {
  readonly url: string;
  /** The paths that it was asked for. */
  readonly requests: string[];
  /** Responds to a request itself where it returns true. */
  intercept: (
    request: Parameters<Parameters<typeof createServer>[1] & object>[0],
    response: Parameters<Parameters<typeof createServer>[1] & object>[1],
  ) => boolean;
  readonly provider: Provider;
  close(): Promise<void>;
}

export const client = { id: "shop", secret: "secret of the shop" };

/** How many groups people have: more than a cookie can hold, and nearly as many. */
const groupsOf: Readonly<Record<string, number>> = { verbose: 400, talkative: 220 };

/** @param origins at which the gateway is public */
export async function startLoginIssuer(
  origins: readonly string[],
  more: Partial<Configuration> = {},
): Promise<LoginIssuer> {
  const server: Server = createServer();
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(url, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: origins.map(origin => `${origin}/auth/callback`),
        post_logout_redirect_uris: origins.flatMap(origin => [`${origin}/`, `${origin}/v1/articles`]),
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub", "email", "groups", "number"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@example.com`,
        groups: Array.from({ length: groupsOf[id] ?? 1 }, (_, index) => `group ${index}`),
        number: 7,
      }),
    }),
    features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
    cookies: { keys: ["a key of the issuer's cookies"] },
    rotateRefreshToken: true,
    ...more,
  });
  const callback = provider.callback();
  const issuer: LoginIssuer = {
    url,
    requests: [],
    intercept: () => false,
    provider,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  server.on("request", (request, response) => {
    issuer.requests.push(new URL(request.url ?? "", url).pathname);
    if (!issuer.intercept(request, response)) void callback(request, response);
  });
  return issuer;
}
