import type { Draft } from "./draft.js";
import type { Findings } from "./findings.js";
import { ownHeaders, ownResponseHeaders } from "./own-header.js";
import type { Path } from "./path.js";
import { type ServiceOptions, serviceOptions } from "./service-options.js";
import { codeRange, largestGrpcCode } from "./status-codes.js";
import { checkUpstreamName } from "./upstream-check.js";

export function checkServices(draft: Draft, findings: Findings): void {
  const first = new Map<string, number>();
  draft.services?.forEach((service, index) => {
    const path = ["services", index];
    checkUpstreamName([...path, "upstream"], service?.upstream, draft, findings);
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
    checkStatusCodes([...path, "status_codes"], options.status_codes, findings);
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
  return way === "response" && ownResponseHeaders.has(name);
}

/** Ranges of one mapping may hold single codes, but not meet each other. */
function checkStatusCodes(
  at: Path,
  codes: ServiceOptions["options"]["status_codes"],
  findings: Findings,
): void {
  const ranges: { readonly first: number; readonly last: number; readonly key: string }[] = [];
  for (const key of Object.keys(codes ?? {})) {
    const path = [...at, key];
    const { first, last } = codeRange(key);
    if (last < first) {
      findings.error(path, `"${key}" ends below its beginning; expected "${last}-${first}"`);
    } else if (first <= largestGrpcCode) {
      findings.error(
        path,
        `"${key}" has codes that gRPC defines, whose statuses are fixed; expected codes from ${largestGrpcCode + 1}`,
      );
    } else if (last > largestCode) {
      findings.error(
        path,
        `"${key}" has codes that no backend can send; expected codes up to ${largestCode}`,
      );
    } else if (first !== last) {
      const other = ranges.find(range => first <= range.last && range.first <= last);
      if (other !== undefined)
        findings.error(path, `"${key}" overlaps "${other.key}"; expected separate ranges`);
      ranges.push({ first, last, key });
    }
  }
}

/** What `grpc-status` is read as: 32 bits. */
const largestCode = 2 ** 32 - 1;
