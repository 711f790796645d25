import { checkProviderNames } from "./auth-check.js";
import type { Draft } from "./draft.js";
import type { Findings } from "./findings.js";
import { checkLimitNames } from "./rate-limit-check.js";
import { checkUpstreamName } from "./upstream-check.js";

/** Pass-through routes need HTTP backends, and RPC services need others. */
export function checkProxies(draft: Draft, findings: Findings): void {
  const first = new Map<string, number>();
  draft.http?.proxy?.forEach((proxy, index) => {
    const path = ["http", "proxy", index];
    checkUpstreamName([...path, "upstream"], proxy?.upstream, draft, findings);
    checkProviderNames([...path, "auth"], proxy?.auth, draft, findings);
    checkLimitNames([...path, "rate_limit"], proxy?.rate_limit, draft, findings);
    const protocol = draft.upstreams?.[proxy?.upstream ?? ""]?.protocol;
    if (protocol === "grpc") {
      const at = [...path, "upstream"];
      findings.error(
        at,
        `expected an upstream with protocol http, found ${findings.show(at, proxy?.upstream ?? "")}`,
      );
    }
    if (proxy?.websocket === true && draft.listeners?.http?.engine === "uws") {
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
      `expected an upstream with protocol grpc, found ${findings.show(at, service?.upstream ?? "")}`,
    );
  });
}
