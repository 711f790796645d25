import Type from "typebox";
import { choice, duration, listOf, mapping, size, text } from "./kind.js";

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

const tls = Type.Union(
  [
    Type.Literal(true),
    mapping(
      {
        ca: Type.Optional(
          text("path", { description: "File of the authorities to trust, PEM. Without it, the system's." }),
        ),
        cert: Type.Optional(text("path", { description: "File of the client certificate, PEM, for mTLS." })),
        key: Type.Optional(
          text("keyPath", { description: "File of the client's private key, PEM, for mTLS." }),
        ),
        server_name: Type.Optional(
          text("host", {
            description: "The name to expect in the server's certificate, in place of the target's.",
          }),
        ),
      },
      "TLS with these files.",
    ),
  ],
  { description: "Call the upstream over TLS: `true`, or a mapping. Without it calls are plain text." },
);

const keepalive = mapping(
  {
    time: duration({ description: "A ping is sent after this much silence.", default: "30s" }, 1000),
    timeout: duration({
      description: "The connection is dead when a ping is unanswered so long.",
      default: "10s",
    }),
  },
  "HTTP/2 pings on quiet connections. Without it none are sent.",
);

const health = mapping(
  {
    service: text("any", {
      description: 'The service name to ask for; "" asks for the server as a whole.',
      default: "",
    }),
  },
  "Ask each endpoint by the gRPC health protocol; the answers feed balancing and /readyz. Without it nothing is asked.",
);

const retry = mapping(
  {
    attempts: Type.Integer({
      minimum: 1,
      maximum: 10,
      default: 3,
      description: "How often a call is sent at most, the first time included. From 1 to 10.",
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
      description:
        "How many retries there may be for each call, over all calls: 0.2 is one retry in five calls.",
    }),
  },
  "Send safe and idempotent calls again when they fail. Without it every call is sent once.",
);

export const UpstreamSchema = mapping(
  {
    protocol: choice(["grpc", "http"], {
      description: "What the backend speaks. `http` is for `http.proxy`.",
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
        "How an endpoint is chosen: in turn, the one with the fewest calls under way, or the first that answers.",
      default: "round_robin",
    }),
    transport: choice(["lean", "grpc-js"], {
      description:
        "The HTTP/2 client for calls: the gateway's own, or that of @grpc/grpc-js, which needs much more CPU time.",
      default: "lean",
    }),
    tls: Type.Optional(tls),
    timeout: duration({
      description: "Deadline of a call, retries included. A client can shorten it, never lengthen it.",
      default: "5s",
    }),
    max_message_size: size({ description: "Largest message either way.", default: "4MiB" }, 1, 1 << 30),
    keepalive: Type.Optional(keepalive),
    health: Type.Optional(health),
    retry: Type.Optional(retry),
  },
  "A backend.",
);
