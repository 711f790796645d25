import { checkReference } from "../../../config/check.js";
import { credentialRefusal } from "../../../dialects/dialects.js";
import { Cancellation } from "../../../net/cancellation.js";
import { errorMessage } from "../../../net/error-text.js";
import { Code } from "../../../status/code.js";
import { attemptsOf } from "../../../upstream/attempt-spans.js";
import { type CallStatus, fromBackend } from "../../../upstream/channel.js";
import { shownHeaders } from "../../caller.js";
import { metadataMapper } from "../../claims.js";
import { credentialReader, describePlacement, placementOf } from "../../credential.js";
import type { ProviderContext, ProviderType } from "../../provider.js";
import { CredentialRefusal, type Provider } from "../../provider.js";
import { TokenProvider, type Verified } from "../token-provider.js";
import type { RpcAuthConfig } from "./rpc-plan.js";
import { PlanError, RpcSchema, rpcPlan } from "./rpc-plan.js";

export const rpc = {
  name: "rpc",
  schema: RpcSchema,
  check: (at, { upstream }, { upstreams }, findings) =>
    checkReference("upstream", [...at, "upstream"], upstream, upstreams, findings),
  inspect: (config, { model, report }) => {
    try {
      rpcPlan(config, model);
    } catch (problem) {
      if (!(problem instanceof PlanError)) throw problem;
      report("error", problem.key, problem.message, problem.suggestion);
    }
  },
  describe: config => describePlacement(placementOf(config, "authorization"), "A token."),
  create: createRpcProvider,
} as const satisfies ProviderType<RpcAuthConfig>;

/** Most milliseconds for which a refusal is remembered: a token may become good (an account is unlocked). */
const refusedFor = 5000;

/** Codes of a backend for a token that is not good; so are the business codes of a dialect that mean 4xx. */
const refusals: ReadonlySet<number> = new Set([
  Code.UNAUTHENTICATED,
  Code.PERMISSION_DENIED,
  Code.NOT_FOUND,
  Code.INVALID_ARGUMENT,
]);

/**
 * A method of a backend decides. Any response but a clear one refuses the request: with 503 where the backend
 * could not be reached, or failed.
 * @throws PlanError where it does not fit the descriptors
 */
function createRpcProvider(
  name: string,
  config: RpcAuthConfig,
  { model, upstreams, channel, metrics, now = Date.now }: ProviderContext,
): Provider {
  const plan = rpcPlan(config, model);
  const timeout = config.timeout ?? upstreams[config.upstream]?.timeout ?? 5000;
  const upstream = channel(config.upstream);
  const placement = placementOf(config, "authorization");
  const metadataOf = metadataMapper(config.claims_to_metadata);
  return new TokenProvider({
    name,
    scheme: placement.scheme ?? "Bearer",
    counters: metrics.provider(name),
    read: credentialReader(placement),
    cacheSize: config.cache_size,
    refusedFor: Math.min(config.cache, refusedFor),
    now,
    version: () => 0,
    verify: async (token, caller): Promise<Verified> => {
      const { status, message } = await upstream.unary({
        path: plan.method.path,
        request: plan.request(token),
        metadata: shownHeaders(caller, config.metadata),
        timeout,
        retryable: plan.method.idempotency !== "unknown",
        // Other requests may wait for the same response.
        cancellation: new Cancellation(),
        trace: attemptsOf(caller.span, plan.method.path, config.upstream),
      });
      if (message === undefined) throw refusalOf(status, token);
      const { subject, scopes, claims } = responseOf(message);
      const identity = Object.freeze({
        provider: name,
        subject,
        scopes,
        claims,
        metadata: metadataOf(claims),
        expiresAt: undefined,
      });
      return { identity, until: now() + config.cache };
    },
    close: () => undefined,
  });

  function responseOf(message: Uint8Array): ReturnType<typeof plan.response> {
    try {
      return plan.response(message);
    } catch (error) {
      if (error instanceof CredentialRefusal) throw error;
      throw new CredentialRefusal(
        "unavailable",
        `the response is not what the method declares: ${errorMessage(error)}`,
      );
    }
  }
}

/** The token is removed from the backend's message, which goes into the log. */
function refusalOf({ code, backendCode, message, origin }: CallStatus, token: string): CredentialRefusal {
  const text = `${origin} ${code}: ${message.replaceAll(token, "[token]")}`;
  if (!fromBackend(origin)) return new CredentialRefusal("unavailable", text);
  if (refusals.has(code)) return new CredentialRefusal("invalid", text);
  const { refused, reason } = credentialRefusal((origin === "business" && backendCode) || code);
  if (!refused) return new CredentialRefusal("unavailable", text);
  return new CredentialRefusal(reason === "TOKEN_EXPIRED" ? "expired" : "invalid", text, reason);
}
