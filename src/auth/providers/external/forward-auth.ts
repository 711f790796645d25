import type { Loaded } from "../../../config/schema.js";
import { choice, mapping, text } from "../../../config/schema.js";
import { errorMessage } from "../../../net/error-text.js";
import type { HeaderList } from "../../../net/headers.js";
import { TimedRequests } from "../../../net/timed-requests.js";
import type { Caller } from "../../caller.js";
import type { AuthDependencies, Provider, ProviderType } from "../../provider.js";
import { bodyOf, checkWebUrl, tracedFetch } from "../issuer.js";
import { type AccessDecision, decisionFields, describeDecision, externalProvider } from "./decision.js";

const ForwardAuthSchema = mapping(
  {
    type: choice(["forward_auth"], { description: "An HTTP service that decides about each request." }),
    url: text("webUrl", {
      description: "What is requested by GET; any 2xx allows the request. Redirects are not followed.",
    }),
    ...decisionFields,
  },
  "Whom an HTTP service allows.",
);

type ForwardAuthConfig = Loaded<typeof ForwardAuthSchema>;

export const forwardAuth = {
  name: "forward_auth",
  schema: ForwardAuthSchema,
  check: (at, { url }, _context, findings) => checkWebUrl([...at, "url"], url, "credentials", findings),
  describe: config => describeDecision(config),
  create: createForwardAuth,
} as const satisfies ProviderType<ForwardAuthConfig>;

/** Bytes of a response body that are read, so that its connection can be used again. */
const bodyLimit = 65_536;

function createForwardAuth(name: string, config: ForwardAuthConfig, { metrics }: AuthDependencies): Provider {
  const requests = new TimedRequests();
  const decide = async (caller: Caller, seen: ReadonlyMap<string, string>): Promise<AccessDecision> => {
    const headers = new Headers([...seen]);
    for (const [header, value] of forwardedHeaders(caller)) headers.set(header, value);
    const response = await requests.run(config.timeout, async signal => {
      const received = await tracedFetch(config.url, { headers, signal }, caller.span).catch(error => {
        throw new Error(`cannot be reached: ${errorMessage((error as Error).cause ?? error)}`);
      });
      await bodyOf(received, bodyLimit);
      return received;
    });
    const { status } = response;
    if (status >= 500) throw new Error(`responds with ${status}`);
    const received = new Map(response.headers);
    return response.ok ? { allowed: true, headers: received } : { allowed: false, status, headers: received };
  };
  return externalProvider(name, config, metrics, decide, () => requests.close());
}

/** The headers in which proxies describe a request to such services. */
function forwardedHeaders(caller: Caller): HeaderList {
  return [
    ["x-forwarded-method", caller.method],
    ["x-forwarded-proto", caller.encrypted ? "https" : "http"],
    ["x-forwarded-host", caller.header("host") ?? ""],
    ["x-forwarded-uri", targetOf(caller)],
    ["x-forwarded-for", caller.clientAddress],
  ];
}

/** The path and the query as they were sent. */
export function targetOf({ path, query }: Caller): string {
  return query === "" ? path : `${path}?${query}`;
}
