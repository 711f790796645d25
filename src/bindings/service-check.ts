import { checkProviderNames } from "../auth/config.js";
import { checkReference } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import { formatPath } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import { checkLimitNames } from "../limits/config.js";
import { ownHeaders, ownResponseHeaders } from "../net/headers.js";
import { rpcProtocol } from "../upstream/protocols.js";
import type { BindingSections, MethodConfig } from "./service-config.js";
import { checkStatusCodes } from "./status-codes.js";

/** Checks `services` and `service_defaults` beyond their schema. */
export function checkServices(draft: DraftOf<BindingSections>, findings: Findings): void {
  const first = new Map<string, number>();
  draft.services?.forEach((service, index) => {
    const path = ["services", index];
    checkReference("upstream", [...path, "upstream"], service?.upstream, draft.upstreams, findings);
    const name = service?.service;
    if (name === undefined) return;
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else {
      const at = [...path, "service"];
      findings.error(at, `${findings.show(at, name)} is exposed by services[${earlier}] already`);
    }
  });
  for (const { path, options } of serviceOptions(draft)) {
    checkMetadata([...path, "metadata"], options.metadata, findings);
    checkStatusCodes([...path, "status_codes"], options.status_codes, onlyGrpcCodes(path, draft), findings);
    checkProviderNames([...path, "auth"], options.auth, draft.auth?.providers, findings);
    checkLimitNames([...path, "rate_limit"], options.rate_limit, draft.rate_limits, findings);
  }
}

function checkMetadata(at: Path, metadata: ServiceOptions["options"]["metadata"], findings: Findings): void {
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
  if (way === "request" && name.startsWith("trpc-")) return true;
  return way === "response" && ownResponseHeaders.has(name);
}

/** Whether codes that are written here come only from backends whose codes are gRPC's. */
function onlyGrpcCodes(path: Path, { services, upstreams }: DraftOf<BindingSections>): boolean {
  const index = path[0] === "services" ? path[1] : undefined;
  const used = typeof index === "number" ? [services?.[index]] : (services ?? []);
  return used.every(service => {
    const traits = rpcProtocol(upstreams?.[service?.upstream ?? ""]?.protocol);
    return traits === undefined || traits.grpcCodes;
  });
}

/** The options of services as they are written at one level. */
interface ServiceOptions {
  readonly path: Path;
  readonly options: DraftOf<MethodConfig>;
}

/** Every level at which options of services are written: `service_defaults`, each service, each of its methods. */
export function* serviceOptions(
  draft: DraftOf<Pick<BindingSections, "services" | "service_defaults">>,
): Generator<ServiceOptions> {
  if (draft.service_defaults !== undefined) {
    yield { path: ["service_defaults"], options: draft.service_defaults as DraftOf<MethodConfig> };
  }
  for (const [index, service] of (draft.services ?? []).entries()) {
    if (service === undefined) continue;
    yield { path: ["services", index], options: service as DraftOf<MethodConfig> };
    for (const [name, options] of Object.entries(service.methods ?? {})) {
      if (options !== undefined) yield { path: ["services", index, "methods", name], options };
    }
  }
}

/** Names of request headers that some service passes to its backend, with the paths that configure it. */
export function passedHeaders(draft: Parameters<typeof serviceOptions>[0]): ReadonlyMap<string, string> {
  const passed = new Map<string, string>();
  for (const { path, options } of serviceOptions(draft)) {
    const where = formatPath([...path, "metadata", "request"]);
    for (const name of options.metadata?.request ?? []) if (name) passed.set(name, where);
  }
  return passed;
}
