import { parseTarget } from "../config/address.js";
import type { Path } from "../config/diagnostic.js";
import { durationText } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import { Formats } from "../config/format.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, size, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { checkClientTls, clientTls } from "./client-tls.js";
import { grpcTransports } from "./options.js";
import { checkProtocol, rpcProtocol } from "./protocols.js";
import { TrpcSchema } from "./trpc/config.js";

/** gRPC's status codes by name (https://grpc.github.io/grpc/core/md_doc_statuscodes.html), OK left out. */
const failures = [
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

const tls = clientTls("Call the upstream over TLS: `true`, or a mapping. Left out: plain text.");

const keepalive = mapping(
  {
    time: duration({ description: "Time without traffic after which a ping is sent.", default: "30s" }, 1000),
    timeout: duration({
      description: "Time to wait for the acknowledgement of a ping; then the connection is closed.",
      default: "10s",
    }),
  },
  "HTTP/2 pings on connections without traffic. Left out: none. With protocol trpc, which has no pings: TCP keepalive, and the silence after which a call that times out makes the gateway open a new connection.",
);

const health = mapping(
  {
    service: text("any", {
      description: 'The service name to ask for; "" asks for the server as a whole.',
      default: "",
    }),
  },
  "Check each endpoint by the gRPC health protocol, for balancing and /readyz. Without it nothing is checked.",
);

const compression = mapping(
  {
    encoding: choice(["gzip", "none"], {
      description: "What messages are compressed with; `none` sends them as they are.",
      default: "gzip",
    }),
    min_size: size({ description: "Smaller messages are sent as they are.", default: "1KiB" }, 0, 1 << 30),
  },
  "Compress messages on their way to the backend. Without it they are sent as they are; compressed responses are read in any case.",
);

const retry = mapping(
  {
    attempts: Type.Integer({
      minimum: 1,
      maximum: 10,
      default: 3,
      description: "Maximum number of attempts of a call, the first one included. From 1 to 10.",
    }),
    on: listOf(choice(failures, { description: "A gRPC status code." }), {
      description: "The gRPC status codes after which a call is sent again.",
      default: ["UNAVAILABLE"],
    }),
    backoff: duration({
      description: "The pause before the first retry; it doubles each time.",
      default: "50ms",
    }),
    max_backoff: duration({ description: "The longest pause between two attempts.", default: "1s" }),
    budget: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 0.2,
      description: "Maximum ratio of retries to calls, over all calls: 0.2 allows one retry for five calls.",
    }),
  },
  "Send safe and idempotent calls again when they fail. Without it every call is sent once.",
);

const UpstreamSchema = mapping(
  {
    protocol: choice(["grpc", "trpc", "http"], {
      description: "The protocol of the backend. `http` is for `http.proxy`.",
      default: "grpc",
    }),
    targets: Type.Array(
      text("target", {
        description:
          "`dns:///host:port` (every address of the name), `host:port`, `[::1]:port` or `unix:/path`; with protocol http `http://host:port` or `https://host`.",
      }),
      { minItems: 1, maxItems: 1000, description: "The endpoints that calls are spread over." },
    ),
    balancing: choice(["round_robin", "least_request", "pick_first"], {
      description:
        "How an endpoint is chosen: in turn, the one with the fewest calls under way, or the first that can be reached.",
      default: "round_robin",
    }),
    transport: choice(grpcTransports, {
      description:
        "The HTTP/2 client for calls: the gateway's own, or that of @grpc/grpc-js, which needs much more CPU time.",
      default: "lean",
    }),
    trpc: Type.Optional(TrpcSchema),
    tls: Type.Optional(tls),
    timeout: duration({
      description: "Deadline of a call, retries included. A client can shorten it, never lengthen it.",
      default: "5s",
    }),
    max_message_size: size(
      { description: "Largest message in either direction.", default: "4MiB" },
      1,
      1 << 30,
    ),
    compression: Type.Optional(compression),
    keepalive: Type.Optional(keepalive),
    health: Type.Optional(health),
    retry: Type.Optional(retry),
  },
  "A backend.",
);

/** `upstreams`. */
export const UpstreamsSchema = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }),
  UpstreamSchema,
  {
    default: {},
    propertyNames: {
      description: "letters, digits, _, - and ., a letter or digit first, at most 63 characters",
    },
    description: "The backends by name. Other sections and the metrics use these names.",
  },
);

export type UpstreamsConfig = Loaded<typeof UpstreamsSchema>;
export type UpstreamConfig = UpstreamsConfig[string];
export type UpstreamTlsConfig = NonNullable<UpstreamConfig["tls"]>;
type RetryConfig = NonNullable<UpstreamConfig["retry"]>;

export function checkUpstreams(upstreams: DraftOf<UpstreamsConfig> | undefined, findings: Findings): void {
  for (const [name, upstream] of Object.entries(upstreams ?? {})) {
    const path = ["upstreams", name];
    if (rpcProtocol(upstream?.protocol) !== undefined) {
      upstream?.targets?.forEach((target, index) => {
        checkTarget([...path, "targets", index], target, findings);
      });
    }
    if (upstream?.protocol === "http") {
      upstream.targets?.forEach((target, index) => {
        checkOrigin([...path, "targets", index], target, findings);
      });
    }
    if (upstream !== undefined) checkProtocol(path, upstream, findings);
    checkClientTls([...path, "tls"], upstream?.tls, findings);
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

function checkRetry(at: Path, retry: DraftOf<RetryConfig> | undefined, findings: Findings): void {
  const { backoff, max_backoff: most } = retry ?? {};
  if (backoff === undefined || most === undefined || backoff <= most) return;
  const found = `found ${durationText(most)}`;
  findings.error([...at, "max_backoff"], `expected at least the backoff, ${durationText(backoff)}, ${found}`);
}
