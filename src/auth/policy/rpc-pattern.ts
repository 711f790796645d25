import type { MethodType } from "../../descriptors/model.js";

/** A test for `package.Service/Method`, `package.Service/*` and `package.**` (`**` alone: every method). */
export function rpcPattern(pattern: string): (method: MethodType) => boolean {
  if (pattern.endsWith("**")) {
    const prefix = pattern.slice(0, -2);
    return method => method.service.fullName.startsWith(prefix);
  }
  if (pattern.endsWith("/*")) {
    const service = pattern.slice(0, -2);
    return method => method.service.fullName === service;
  }
  return method => method.path === `/${pattern}`;
}
