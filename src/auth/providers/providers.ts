import type { TSchema } from "typebox";
import type { Loaded } from "../../config/schema.js";
import type { ProviderType } from "../provider.js";
import { apiKey } from "./api-key/api-key.js";
import { extAuthz } from "./external/ext-authz.js";
import { forwardAuth } from "./external/forward-auth.js";
import { introspection } from "./introspection.js";
import { jwt } from "./jwt/jwt.js";
import { mtls } from "./mtls.js";
import { oidcLogin } from "./oidc-login/oidc-login.js";
import { rpc } from "./rpc/rpc.js";

/** Every kind of provider; a new one is its own file and an entry here. */
const types = [jwt, introspection, apiKey, rpc, mtls, forwardAuth, extAuthz, oidcLogin] as const;

type SchemasOf<T extends readonly { readonly schema: TSchema }[]> = {
  -readonly [K in keyof T]: T[K]["schema"];
};

/** Schemas of the kinds, in their order. */
export const providerSchemas = types.map(({ schema }) => schema) as SchemasOf<typeof types>;
/** `jwt, introspection, api_key, rpc, mtls, forward_auth, ext_authz and oidc_login`. */
export const providerNames = `${types
  .slice(0, -1)
  .map(({ name }) => name)
  .join(", ")} and ${types.at(-1)?.name}`;

export type ProviderConfig = Loaded<(typeof types)[number]["schema"]>;

const byName: ReadonlyMap<string, ProviderType<ProviderConfig>> = new Map(
  types.map(type => [type.name, type]),
);

/** @throws Error where there is no such kind; loading has checked that there is */
export function providerType(name: string): ProviderType<ProviderConfig> {
  const type = byName.get(name);
  if (type === undefined) throw new Error(`there is no provider type "${name}"`);
  return type;
}
