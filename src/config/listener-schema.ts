import Type from "typebox";
import { choice, mapping, section, text } from "./kind.js";

const addressForms =
  "`host:port`, `[::1]:port`, or `:port` for every IPv4 interface; port 0 takes a free one.";

const certificate = {
  cert: text("path", { description: "File of the certificate chain, PEM." }),
  key: text("keyPath", { description: "File of the private key, PEM." }),
};
const tlsDescription = "Serve TLS with this certificate. Without it the listener speaks plain text.";
const tls = Type.Optional(mapping(certificate, tlsDescription));

/** With what clients prove who they are. */
const clientTls = Type.Optional(
  mapping(
    {
      ...certificate,
      client_ca: Type.Optional(
        text("path", {
          description:
            "File of the authorities whose client certificates are accepted, PEM. Needs the engine fastify.",
        }),
      ),
      client_auth: Type.Optional(
        choice(["request", "require"], {
          description:
            "With `client_ca`: `request` a certificate and leave it to routes what follows (so it is left out), or `require` one and end connections without a good one.",
        }),
      ),
    },
    tlsDescription,
  ),
);

export const ListenersSchema = mapping(
  {
    http: mapping(
      {
        address: text("address", { description: `Where the REST API listens: ${addressForms}` }),
        engine: choice(["fastify", "uws"], {
          description:
            "The HTTP server underneath. `uws` (uWebSockets.js) costs far less CPU; it is a native addon for glibc Linux, macOS and Windows.",
          default: "fastify",
        }),
        tls: clientTls,
      },
      "The listener of the REST API.",
    ),
    realtime: Type.Optional(
      mapping(
        {
          address: text("address", { description: `Where WebSockets are opened: ${addressForms}` }),
          tls,
        },
        "The listener of WebSockets. It needs the native addon uWebSockets.js.",
      ),
    ),
    admin: section(
      {
        address: text("address", {
          description: `Where metrics, health and the resolved configuration are served: ${addressForms} Keep it private.`,
          default: "127.0.0.1:9090",
        }),
        tls,
      },
      "The listener for operators: /metrics, /livez, /readyz, /config.",
    ),
  },
  "What the gateway listens on.",
);
