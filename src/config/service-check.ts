import type { Draft, DraftOf } from "./draft.js";
import type { Findings } from "./findings.js";
import type { Path } from "./path.js";
import type { MethodConfig, ServiceConfig } from "./schema.js";
import { checkUpstreamName } from "./upstream-check.js";

/** Headers of one connection (RFC 9110 §7.6.1), and those that the gateway or gRPC writes itself. */
const ownHeaders: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "content-length",
  "content-type",
]);

export function checkServices(draft: Draft, findings: Findings): void {
  const first = new Map<string, number>();
  draft.services?.forEach((service, index) => {
    const path = ["services", index];
    checkUpstreamName([...path, "upstream"], service?.upstream, draft, findings);
    checkMetadata([...path, "metadata"], service?.metadata, findings);
    for (const [name, method] of Object.entries(service?.methods ?? {})) {
      checkMetadata([...path, "methods", name, "metadata"], method?.metadata, findings);
    }
    const name = service?.service;
    if (name === undefined) return;
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else {
      const at = [...path, "service"];
      findings.error(at, `${findings.show(at, name)} is exposed by services[${earlier}] already`);
    }
  });
}

function checkMetadata(
  at: Path,
  metadata: DraftOf<ServiceConfig["metadata"] | MethodConfig["metadata"]>,
  findings: Findings,
): void {
  for (const way of ["request", "response"] as const) {
    metadata?.[way]?.forEach((name, index) => {
      if (name === undefined || !(ownHeaders.has(name) || name.startsWith("grpc-"))) return;
      const path = [...at, way, index];
      const shown = findings.show(path, name);
      findings.error(path, `${shown} cannot be passed on; the gateway and gRPC write it themselves`);
    });
  }
}
