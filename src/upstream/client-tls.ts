import { checkTlsFiles } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { readFileSync } from "../net/files.js";
import type { TlsOptions } from "./options.js";

const files = mapping(
  {
    ca: Type.Optional(
      text("path", { description: "File of the authorities to trust, PEM. Without it, the system's." }),
    ),
    cert: Type.Optional(text("path", { description: "File of the client certificate, PEM, for mTLS." })),
    key: Type.Optional(text("keyPath", { description: "File of the client's private key, PEM, for mTLS." })),
    server_name: Type.Optional(
      text("host", {
        description: "The name to expect in the server's certificate, in place of the target's.",
      }),
    ),
  },
  "TLS with these files.",
);

export type ClientTlsConfig = true | Loaded<typeof files>;

/** The option `tls` of a server that the gateway connects to. */
export function clientTls(description: string) {
  return Type.Union([Type.Literal(true), files], { description });
}

/** The option `tls` beside a URL, whose scheme may ask for TLS, too. */
export const tlsBesideUrl = Type.Optional(
  clientTls(
    "Connect over TLS, with these files; the scheme of `url` alone trusts the authorities of the system.",
  ),
);

export function checkClientTls(
  at: Path,
  tls: DraftOf<ClientTlsConfig> | undefined,
  findings: Findings,
): void {
  if (tls === undefined || tls === true) return;
  checkTlsFiles(at, tls, findings);
  if ("cert" in tls !== "key" in tls) {
    const [present, missing] = "cert" in tls ? ["cert", "key"] : ["key", "cert"];
    findings.error(at, `"${present}" without "${missing}"; a client certificate needs both`);
  }
}

/** The TLS options of connections to a server; undefined without TLS. The files were checked when loading. */
export function readClientTls(tls: ClientTlsConfig | undefined): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  if (tls === true) return {};
  return {
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  };
}
