import { checkAuth } from "./auth-check.js";
import { checkCertificates } from "./certificate-check.js";
import { checkDescriptors } from "./descriptor-check.js";
import type { Draft } from "./draft.js";
import type { Findings } from "./findings.js";
import { checkListeners } from "./listener-check.js";
import { checkLiveKit } from "./livekit-check.js";
import { checkPolicies } from "./policy-check.js";
import { checkProxies } from "./proxy-check.js";
import { checkRateLimits } from "./rate-limit-check.js";
import { checkRealtime } from "./realtime-check.js";
import { checkResponseHeaders } from "./response-header-check.js";
import { checkRules } from "./rule-check.js";
import { checkServices } from "./service-check.js";
import { checkUpstreams } from "./upstream-check.js";

/** Finds what no schema can: missing files, dangling references, values that do not go together. */
export function check(draft: Draft, findings: Findings): void {
  checkListeners(draft, findings);
  checkCertificates(draft, findings);
  checkDescriptors(draft, findings);
  checkUpstreams(draft, findings);
  checkServices(draft, findings);
  checkRules(draft, findings);
  checkResponseHeaders(draft, findings);
  checkProxies(draft, findings);
  checkAuth(draft, findings);
  checkPolicies(draft, findings);
  checkRateLimits(draft, findings);
  checkLiveKit(draft, findings);
  checkRealtime(draft, findings);
  checkBuckets(draft, findings);
}

function checkBuckets({ telemetry }: Draft, findings: Findings): void {
  const buckets = telemetry?.metrics?.buckets ?? [];
  buckets.forEach((bucket, index) => {
    const before = buckets[index - 1];
    if (bucket === undefined || before === undefined || before < bucket) return;
    const path = ["telemetry", "metrics", "buckets", index];
    findings.error(path, `expected a bound above the one before, ${before}, found ${bucket}`);
  });
}
