import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../repository.js";
import type { Chain } from "./chains.js";
import { audience, type Credentials, issuer } from "./credentials.js";

/** Far above what the load generator can send: every request is counted, none refused. */
const plenty = 1_000_000;

/**
 * Writes the configuration of a gateway with one chain, and what it refers to.
 * @returns the configuration's file, a new one in `folder`
 */
export async function writeConfig(
  folder: string,
  { name, auth, policies = [], limited, validated, told }: Chain,
  { issuerKey, apiKeyHash }: Credentials,
): Promise<string> {
  const own = join(folder, name.replaceAll(/\W+/g, "-"));
  await mkdir(own, { recursive: true });
  const config = {
    listeners: {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the gateway fills it in
      http: { address: "127.0.0.1:${HTTP_PORT}", engine: "${ENGINE}" },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the gateway fills it in
      admin: { address: "127.0.0.1:${ADMIN_PORT}" },
    },
    descriptors: [{ protos: join(root, "bench/auth/protos") }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the gateway fills it in
    upstreams: { bench: { targets: ["${UPSTREAM}"], transport: "${TRANSPORT}" } },
    services: [
      {
        service: "bench.v1.BenchService",
        upstream: "bench",
        auth: auth ?? "none",
        validate: validated === true,
        ...(limited && { rate_limit: "address" }),
      },
    ],
    auth: {
      providers: {
        users: {
          type: "jwt",
          public_key: issuerKey,
          algorithms: ["RS256"],
          issuer,
          audience,
          ...(told && { claims_to_metadata: { sub: "x-user-id" } }),
        },
        partners: { type: "api_key", keys: "keys.yaml" },
      },
      policies,
    },
    rate_limits: { address: { requests: plenty, per: "1s", key: "ip" } },
    telemetry: { log: { level: "warn" } },
  };
  await writeFile(join(own, "keys.yaml"), JSON.stringify([{ hash: apiKeyHash, subject: "partner" }]));
  const file = join(own, "gateway.yaml");
  await writeFile(file, JSON.stringify(config, null, 2));
  return file;
}
