import { authReference, checkProviderNames } from "../auth/config.js";
import type { BindingSections } from "../bindings/service-config.js";
import { checkReference } from "../config/check.js";
import type { Findings } from "../config/findings.js";
import { type DraftOf, duration, type Loaded, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { checkLimitNames, rateLimitReference } from "../limits/config.js";
import { type HttpListenersConfig, httpListenersOf } from "../server/config.js";
import { rpcProtocol } from "../upstream/protocols.js";

const access = {
  auth: Type.Optional(
    authReference("Authentication: `none`, or providers of which one must accept. Left out: `auth.default`."),
  ),
  rate_limit: rateLimitReference,
};

const passThrough = Type.Array(
  mapping(
    {
      service: text("fullName", { description: "Full name of an RPC service, `package.Service`." }),
      upstream: text("nonempty", {
        description: "Name of an upstream with `protocol: grpc` and the transport `lean`.",
      }),
      timeout: duration(
        { description: "The longest that a call may take; 0s for no bound but the client's.", default: "0s" },
        0,
      ),
      ...access,
    },
    "A service whose calls pass as they are, whatever its methods.",
  ),
  {
    default: [],
    maxItems: 1000,
    description: "Services that gRPC calls without descriptors: messages, metadata and status pass unread.",
  },
);

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
    pass_through: passThrough,
  },
  "gRPC beside the services that are exposed with their descriptors.",
);

export type GrpcConfig = Loaded<typeof GrpcSchema>;

/** The sections that the check reads. */
type GrpcSections = DraftOf<
  Pick<BindingSections, "auth" | "rate_limits" | "upstreams"> & {
    listeners: { http: HttpListenersConfig };
    http: { grpc?: GrpcConfig };
  }
>;

export function checkGrpc(draft: GrpcSections, findings: Findings): void {
  const { http, auth, rate_limits: limits } = draft;
  for (const name of ["health", "reflection"] as const) {
    const section = http?.grpc?.[name];
    const path = ["http", "grpc", name];
    checkProviderNames([...path, "auth"], section?.auth, auth?.providers, findings);
    checkLimitNames([...path, "rate_limit"], section?.rate_limit, limits, findings);
  }
  checkPassThrough(draft, findings);
}

function checkPassThrough(draft: GrpcSections, findings: Findings): void {
  const { http, auth, rate_limits: limits, upstreams, listeners } = draft;
  const first = new Map<string, number>();
  const open = httpListenersOf(listeners?.http);
  const http1 =
    open.length > 0 && open.every(({ listener: { engine, http2 } }) => engine === "uws" || http2 === false);
  for (const [index, entry] of (http?.grpc?.pass_through ?? []).entries()) {
    const path = ["http", "grpc", "pass_through", index];
    checkReference("upstream", [...path, "upstream"], entry?.upstream, upstreams, findings);
    checkProviderNames([...path, "auth"], entry?.auth, auth?.providers, findings);
    checkLimitNames([...path, "rate_limit"], entry?.rate_limit, limits, findings);
    const upstream = upstreams?.[entry?.upstream ?? ""];
    const at = [...path, "upstream"];
    const shown = findings.show(at, entry?.upstream ?? "");
    if (upstream?.protocol !== undefined && rpcProtocol(upstream.protocol)?.passesGrpc !== true)
      findings.error(
        at,
        `expected an upstream with protocol grpc, found ${shown} with protocol ${upstream.protocol}: calls pass as they are`,
      );
    else if (upstream?.transport === "grpc-js")
      findings.error(at, `expected an upstream with transport lean, found ${shown}: grpc-js reads messages`);
    if (http1) findings.error(path, "gRPC needs HTTP/2, which the HTTP listener does not speak");
    const service = entry?.service;
    if (service === undefined) continue;
    const earlier = first.get(service);
    if (earlier !== undefined)
      findings.error(
        [...path, "service"],
        `the service passes by http.grpc.pass_through[${earlier}] already`,
      );
    else first.set(service, index);
  }
  draft.auth?.policies?.forEach((policy, index) => {
    const [service = "", method] = policy?.match?.rpc?.split("/") ?? [];
    if (method === undefined || method === "*" || !first.has(service)) return;
    findings.error(
      ["auth", "policies", index, "match", "rpc"],
      `${service} is passed through, and its methods are not known; match route /${service}/${method}`,
      { suggestion: `${service}/*` },
    );
  });
}
