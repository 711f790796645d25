import Type from "typebox";
import { authReference } from "./auth-schema.js";
import { mapping, text } from "./kind.js";
import { rateLimitReference } from "./rate-limit-schema.js";

/** `http.proxy`: plain HTTP that is passed through. */
export const ProxySchema = Type.Array(
  mapping(
    {
      prefix: text("prefix", { description: "Paths that are passed through: this one and all below it." }),
      upstream: text("nonempty", { description: "Name of an upstream with `protocol: http`." }),
      rewrite: Type.Optional(
        text("template", {
          description:
            "What stands in place of the prefix in the path that the upstream sees, such as `/`. Left out, the prefix stays.",
        }),
      ),
      websocket: Type.Boolean({
        default: false,
        description: "Pass WebSocket upgrades through as well. Needs `listeners.http.engine: fastify`.",
      }),
      auth: Type.Optional(
        authReference(
          "Who may call: `none`, or providers of which one must accept. Left out, as `auth.default` says.",
        ),
      ),
      rate_limit: rateLimitReference,
    },
    "Requests that are passed to an HTTP backend as they are. Routes of RPC methods come first.",
  ),
  { default: [], maxItems: 1000, description: "Paths that are passed through to HTTP backends." },
);
