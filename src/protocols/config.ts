import Type from "typebox";
import { authReference, checkProviderNames } from "../auth/config.js";
import type { BindingSections } from "../bindings/service-config.js";
import type { Findings } from "../config/findings.js";
import { type DraftOf, type Loaded, mapping } from "../config/schema.js";
import { checkLimitNames, rateLimitReference } from "../limits/config.js";

const access = {
  auth: Type.Optional(
    authReference(
      "Who may call: `none`, or providers of which one must accept. Left out, as `auth.default` says.",
    ),
  ),
  rate_limit: rateLimitReference,
};

/** `http.grpc`. */
export const GrpcSchema = mapping(
  {
    health: Type.Optional(
      mapping(
        access,
        "Serve `grpc.health.v1.Health`: the gateway's own health, as `/readyz` has it, and that of each exposed service. Left out, it is not served.",
      ),
    ),
    reflection: Type.Optional(
      mapping(
        access,
        "Serve `grpc.reflection.v1.ServerReflection` and `v1alpha`: the services and methods that the gateway exposes, and their types. Left out, it is not served.",
      ),
    ),
  },
  "What the gateway itself serves to callers of RPC.",
);

export type GrpcConfig = Loaded<typeof GrpcSchema>;

/** What the check reads. */
type GrpcSections = DraftOf<Pick<BindingSections, "auth" | "rate_limits"> & { http: { grpc?: GrpcConfig } }>;

export function checkGrpc({ http, auth, rate_limits: limits }: GrpcSections, findings: Findings): void {
  for (const name of ["health", "reflection"] as const) {
    const section = http?.grpc?.[name];
    const path = ["http", "grpc", name];
    checkProviderNames([...path, "auth"], section?.auth, auth?.providers, findings);
    checkLimitNames([...path, "rate_limit"], section?.rate_limit, limits, findings);
  }
}
