import type { Path } from "../config/diagnostic.js";
import { findUnaryMethod } from "../descriptors/find-method.js";
import type { MethodType, Model } from "../descriptors/model.js";
import type { Cancellation } from "../net/cancellation.js";
import { GatewayError } from "../status/failure.js";
import { callFailure } from "../upstream/call/call-failure.js";
import type { Channel, Metadata } from "../upstream/channel.js";
import type { LiveKitSections } from "./config.js";
import type { LiveKitProblems } from "./parts.js";

/** A unary method of a backend that LiveKit's routes call for its status alone. */
export interface StatusCall {
  readonly method: MethodType;
  /** @throws GatewayError where the status is not OK */
  call(request: Uint8Array, metadata: Metadata, cancellation: Cancellation): Promise<void>;
}

interface StatusCallConfig {
  readonly upstream: string;
  readonly method: string;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
}

/** Undefined, and a problem, where the descriptors have no such unary method. */
export function compileCall(
  { upstream, method: name, timeout }: StatusCallConfig,
  config: LiveKitSections,
  model: Model,
  channel: (upstream: string) => Channel,
  at: Path,
  problems: LiveKitProblems,
): StatusCall | undefined {
  const method = findUnaryMethod(name, model, (message, near) => problems.error(at, message, near));
  if (method === undefined) return undefined;
  const deadline = timeout ?? config.upstreams[upstream]?.timeout ?? 5000;
  return {
    method,
    async call(request, metadata, cancellation) {
      const result = await channel(upstream).unary({
        path: method.path,
        request,
        metadata,
        timeout: deadline,
        retryable: method.idempotency !== "unknown",
        cancellation,
      });
      if (result.message === undefined) throw new GatewayError(callFailure(result));
    },
  };
}
