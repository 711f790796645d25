import type { Credentials } from "./credentials.js";

/** What a request passes on its way to the upstream. */
export interface Chain {
  readonly name: string;
  /** Provider that must accept. */
  readonly auth?: "users" | "partners";
  readonly policies?: readonly object[];
  /** True where requests of one address are counted. */
  readonly limited?: true;
  /** True where the rules of the request's message are enforced. */
  readonly validated?: true;
  /** True where the claim `sub` is told to the upstream. */
  readonly told?: true;
  /** Header lines that carry credentials; of several the requests take turns. */
  headers?(credentials: Credentials): readonly string[];
}

const bearer = (token: string | undefined): string => `authorization: Bearer ${token}`;
const oneToken = ({ tokens }: Credentials): string[] => [bearer(tokens[0])];

const scope = { name: "scope", match: { route: "/v1/messages/*" }, require: { scopes: ["read"] } };
const field = {
  name: "field",
  match: { rpc: "bench.v1.BenchService/GetMessage" },
  require: { rule: "claim.message == request.message_id" },
};

export const noChain: Chain = { name: "no auth" };

/** Everything that stands in the way of a request at once. */
export const wholeChain: Chain = {
  name: "all of these",
  auth: "users",
  policies: [scope, field],
  limited: true,
  validated: true,
  told: true,
  headers: ({ tokens }) => tokens.map(bearer),
};

export const oneJwt: Chain = { name: "jwt", auth: "users", headers: oneToken };

/** Each is compared with none. */
export const chains: readonly Chain[] = [
  { name: "a token that nobody asks for", headers: oneToken },
  oneJwt,
  { name: "jwt, many in turn", auth: "users", headers: ({ tokens }) => tokens.map(bearer) },
  { name: "jwt, sub to the upstream", auth: "users", told: true, headers: oneToken },
  { name: "jwt and a scope", auth: "users", policies: [scope], headers: oneToken },
  { name: "jwt and a field", auth: "users", policies: [field], headers: oneToken },
  { name: "api_key", auth: "partners", headers: ({ apiKey }) => [`x-api-key: ${apiKey}`] },
  { name: "limit by ip", limited: true },
  { name: "validation", validated: true },
  wholeChain,
];
