import { authReference, checkProviderNames } from "../auth/config.js";
import type { BindingSections } from "../bindings/service-config.js";
import { checkReference } from "../config/check.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { checkLimitNames, rateLimitReference } from "../limits/config.js";
import { type HttpListenersConfig, httpListenersOf } from "../server/config.js";
/** `http.proxy`: plain HTTP that is passed through. */
export const ProxySchema = Type.Array(
  mapping(
    {
      prefix: text("prefix", { description: "Paths that are passed through: this one and all below it." }),
      upstream: text("nonempty", { description: "Name of an upstream with `protocol: http`." }),
      rewrite: Type.Optional(
        text("template", {
          description:
            "What replaces the prefix in the path that the upstream sees, such as `/`. Left out, the prefix stays.",
        }),
      ),
      websocket: Type.Boolean({
        default: false,
        description: "Pass WebSocket upgrades through as well. Needs `listeners.http.engine: fastify`.",
      }),
      auth: Type.Optional(
        authReference(
          "Authentication: `none`, or providers of which one must accept. Left out: `auth.default`.",
        ),
      ),
      rate_limit: rateLimitReference,
    },
    "Requests that are passed to an HTTP backend as they are. Routes of RPC methods come first.",
  ),
  { default: [], maxItems: 1000, description: "Paths that are passed through to HTTP backends." },
);

export type ProxyConfig = Loaded<typeof ProxySchema>;

/** The sections that the check reads. */
type ProxySections = DraftOf<
  Pick<BindingSections, "services" | "upstreams" | "auth" | "rate_limits"> & {
    listeners: { http: HttpListenersConfig };
    http: { proxy: ProxyConfig };
  }
>;

/** Pass-through routes need HTTP backends, and RPC services need others. */
export function checkProxies(draft: ProxySections, findings: Findings): void {
  const first = new Map<string, number>();
  const onUws = httpListenersOf(draft.listeners?.http).some(({ listener }) => listener.engine === "uws");
  draft.http?.proxy?.forEach((proxy, index) => {
    const path = ["http", "proxy", index];
    checkReference("upstream", [...path, "upstream"], proxy?.upstream, draft.upstreams, findings);
    checkProviderNames([...path, "auth"], proxy?.auth, draft.auth?.providers, findings);
    checkLimitNames([...path, "rate_limit"], proxy?.rate_limit, draft.rate_limits, findings);
    const protocol = draft.upstreams?.[proxy?.upstream ?? ""]?.protocol;
    if (protocol !== undefined && protocol !== "http") {
      const at = [...path, "upstream"];
      findings.error(
        at,
        `expected an upstream with protocol http, found ${findings.show(at, proxy?.upstream ?? "")}`,
      );
    }
    if (proxy?.websocket === true && onUws) {
      findings.error([...path, "websocket"], "WebSockets are passed through by the engine fastify only");
    }
    if (proxy?.prefix === undefined) return;
    if (proxy.prefix === "") {
      findings.error(
        [...path, "prefix"],
        "expected a path such as /legacy; everything cannot be passed through",
      );
      return;
    }
    const earlier = first.get(proxy.prefix);
    if (earlier === undefined) first.set(proxy.prefix, index);
    else
      findings.error(
        [...path, "prefix"],
        `the same prefix is passed through by http.proxy[${earlier}] already`,
      );
  });
  draft.services?.forEach((service, index) => {
    if (draft.upstreams?.[service?.upstream ?? ""]?.protocol !== "http") return;
    const at = ["services", index, "upstream"];
    findings.error(
      at,
      `expected an upstream with protocol grpc or trpc, found ${findings.show(at, service?.upstream ?? "")}`,
    );
  });
}
