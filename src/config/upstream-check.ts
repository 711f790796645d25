import { parseTarget } from "./address.js";
import type { Draft, DraftOf } from "./draft.js";
import { durationText } from "./expectation.js";
import { checkPath } from "./file-check.js";
import type { Findings } from "./findings.js";
import { Formats } from "./format.js";
import { nearest } from "./nearest.js";
import type { Path } from "./path.js";
import type { RetryConfig, UpstreamTlsConfig } from "./schema.js";

/** Adds an error where no upstream has that name. */
export function checkUpstreamName(
  at: Path,
  name: string | undefined,
  draft: Draft,
  findings: Findings,
): void {
  const names = Object.keys(draft.upstreams ?? {});
  if (name === undefined || names.includes(name)) return;
  const suggestion = nearest(name, names);
  const some = names.length <= 10 ? names : [...names.slice(0, 10), "..."];
  const known = names.length === 0 ? "none is declared" : `declared are ${some.join(", ")}`;
  const message = `there is no upstream ${findings.show(at, name)}`;
  findings.error(at, suggestion === undefined ? `${message}; ${known}` : message, { suggestion });
}

export function checkUpstreams(draft: Draft, findings: Findings): void {
  for (const [name, upstream] of Object.entries(draft.upstreams ?? {})) {
    const path = ["upstreams", name];
    if (upstream?.protocol === "grpc") {
      upstream.targets?.forEach((target, index) => {
        checkTarget([...path, "targets", index], target, findings);
      });
    }
    if (upstream?.protocol === "http") {
      upstream.targets?.forEach((target, index) => {
        checkOrigin([...path, "targets", index], target, findings);
      });
    }
    checkTls([...path, "tls"], upstream?.tls, findings);
    checkRetry([...path, "retry"], upstream?.retry, findings);
  }
}

function checkTarget(at: Path, target: string | undefined, findings: Findings): void {
  if (target === undefined || parseTarget(target) !== undefined) return;
  const bare = target.replace(/^[a-z]+:\/\//i, "").replace(/\/.*$/, "");
  const suggestion = findings.isSecret(at) || parseTarget(bare) === undefined ? undefined : bare;
  const { expected } = Formats.target;
  findings.error(at, `expected ${expected}, found ${findings.show(at, target)}`, { suggestion });
}

/** Of an HTTP backend: where it is, and nothing of a path. */
function checkOrigin(at: Path, target: string | undefined, findings: Findings): void {
  if (target === undefined) return;
  const url = URL.canParse(target) ? new URL(target) : undefined;
  // An origin and nothing more; a slash at its end means nothing.
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return;
  const expected = "http://host:port or https://host:port without a path";
  findings.error(at, `expected ${expected}, found ${findings.show(at, target)}`);
}

function checkTls(at: Path, tls: DraftOf<UpstreamTlsConfig> | undefined, findings: Findings): void {
  if (tls === undefined || tls === true) return;
  for (const key of ["ca", "cert", "key"] as const) checkPath([...at, key], tls[key], "file", findings);
  if ("cert" in tls !== "key" in tls) {
    const [present, missing] = "cert" in tls ? ["cert", "key"] : ["key", "cert"];
    findings.error(at, `"${present}" without "${missing}"; a client certificate needs both`);
  }
}

function checkRetry(at: Path, retry: DraftOf<RetryConfig> | undefined, findings: Findings): void {
  const { backoff, max_backoff: most } = retry ?? {};
  if (backoff === undefined || most === undefined || backoff <= most) return;
  const found = `found ${durationText(most)}`;
  findings.error([...at, "max_backoff"], `expected at least the backoff, ${durationText(backoff)}, ${found}`);
}
