import { isLoopback, parseAddress } from "../config/address.js";
import { checkPath } from "../config/check.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { section, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { addressForms, checkListenerTls, listenerTls } from "../server/config.js";

/** `listeners.admin`. */
export const AdminListenerSchema = section(
  {
    address: text("address", {
      description: `Where metrics, health and the resolved configuration are served: ${addressForms} An address that others reach needs \`token\` or \`client_ca\`.`,
      default: "127.0.0.1:9090",
    }),
    tls: listenerTls,
    token: Type.Optional(
      text("secret", {
        description:
          "What operators and Prometheus send as `authorization: Bearer …`; /livez and /readyz need nothing. A reload changes it; to remove it takes a restart.",
      }),
    ),
    client_ca: Type.Optional(
      text("path", {
        description:
          "File of the authorities whose client certificates are accepted in place of the token, PEM. Needs `tls`.",
      }),
    ),
  },
  "The listener for operators: /metrics, /livez, /readyz, /config.",
);

export type AdminListenerConfig = Loaded<typeof AdminListenerSchema>;

/** Metrics, the configuration and the rooms must not be open to all clients that can reach the port. */
export function checkAdminListener(
  listener: DraftOf<AdminListenerConfig> | undefined,
  findings: Findings,
): void {
  if (listener === undefined) return;
  const at = ["listeners", "admin"];
  checkListenerTls([...at, "tls"], listener.tls, findings);
  checkPath([...at, "client_ca"], listener.client_ca, "file", findings);
  if ("client_ca" in listener && !("tls" in listener)) {
    const missing = '"client_ca" without "tls"; expected a certificate of the listener, too';
    findings.error([...at, "client_ca"], missing);
  }
  const address = parseAddress(listener.address ?? "");
  if (address === undefined || isLoopback(address.host)) return;
  if ("token" in listener || "client_ca" in listener) return;
  const found = findings.show([...at, "address"], listener.address ?? "");
  findings.error(
    [...at, "address"],
    `an address that others reach needs "token" or "client_ca"; expected one of them, or an address on 127.0.0.1, found ${found}`,
  );
}
