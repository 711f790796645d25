import type { Draft, DraftOf } from "./draft.js";
import type { Findings } from "./findings.js";
import { ownHeaders, ownResponseHeaders } from "./own-header.js";
import type { Path } from "./path.js";
import type { MethodConfig, ServiceConfig } from "./schema.js";
import { checkUpstreamName } from "./upstream-check.js";

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
      if (name === undefined || !isOwn(way, name)) return;
      const path = [...at, way, index];
      const shown = findings.show(path, name);
      findings.error(path, `${shown} cannot be passed on; the gateway and gRPC write it themselves`);
    });
  }
}

function isOwn(way: "request" | "response", name: string): boolean {
  if (ownHeaders.has(name) || name.startsWith("grpc-")) return true;
  return way === "response" && ownResponseHeaders.has(name);
}
