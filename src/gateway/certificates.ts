import { X509Certificate } from "node:crypto";
import { Gauge, type Registry } from "prom-client";
import { formatPath, LoadError, type Path } from "../config/diagnostic.js";
import { errorMessage } from "../net/error-text.js";
import {
  type RenewableTls,
  type ServerCertificate,
  type ServerTls,
  type ShownTls,
  showsSame,
} from "../net/server-tls.js";
import type { UsableConfig } from "./read-config.js";
import { certificatePath, listenerTlsOf, type TlsListener, tlsListenersOf } from "./tls.js";

/** The open listeners, by name. */
export type RenewableListeners = Readonly<Record<string, RenewableTls | undefined>>;

/**
 * Prepares new certificates of a configuration for listeners that are open.
 * @returns a function that has later connections use them
 * @throws LoadError where one cannot be used: then nothing has changed
 */
export function prepareRenewal(loaded: UsableConfig, listeners: RenewableListeners): () => void {
  const renewals = tlsListenersOf(loaded.config).map(each =>
    prepareListener(loaded, each, listeners[each.name]),
  );
  return () => {
    for (const renew of renewals) renew?.();
  };
}

function prepareListener(
  loaded: UsableConfig,
  configured: TlsListener,
  listener: RenewableTls | undefined,
): (() => void) | undefined {
  const shown = listener?.shown;
  if (listener === undefined || shown === undefined) return undefined;
  try {
    const next = listenerTlsOf(configured);
    // To take TLS away needs a restart.
    if (next === undefined) return undefined;
    const renewed = withClientsOf(shown, next);
    if (showsSame(shown, renewed)) return undefined;
    [renewed, ...(renewed.others ?? [])].forEach((certificate, index) => {
      const day = expiredSince(certificate, shown);
      if (day === undefined) return;
      const message = `the certificate expired on ${day}; the listener keeps the one that it has`;
      throw unusable(loaded, [...certificatePath(configured, index), "cert"], message);
    });
    return listener.renew(renewed);
  } catch (error) {
    if (error instanceof LoadError) throw error;
    const message = errorMessage(error);
    throw unusable(loaded, [...configured.at, "tls"], message);
  }
}

/** Whether certificates of clients are requested stays as it is; the authorities that may sign them do not. */
function withClientsOf(shown: ShownTls, { client, ...next }: ServerTls): ServerTls {
  if (shown.client === undefined) return next;
  return { ...next, client: { ...shown.client, ...(client !== undefined && { ca: client.ca }) } };
}

/** The day on which a certificate that is not shown yet has expired. */
function expiredSince(
  { cert }: ServerCertificate,
  { cert: first, others = [] }: ShownTls,
): string | undefined {
  const known = [first, ...others.map(each => each.cert)].some(each => cert.equals(Buffer.from(each)));
  const end = expiryOf(cert);
  return known || end >= Date.now() ? undefined : new Date(end).toISOString().slice(0, 10);
}

/** Milliseconds since 1970. */
function expiryOf(cert: string | Buffer): number {
  return Date.parse(new X509Certificate(cert).validTo);
}

const expiries = new WeakMap<ServerCertificate, number>();

/** The same of a certificate that is read again and again: it is parsed once. */
function knownExpiry(certificate: ServerCertificate): number {
  const known = expiries.get(certificate) ?? expiryOf(certificate.cert);
  expiries.set(certificate, known);
  return known;
}

function unusable(loaded: UsableConfig, path: Path, message: string): LoadError {
  const problem = {
    severity: "error",
    message,
    position: loaded.locate(path),
    path: formatPath(path),
  } as const;
  return new LoadError([problem], loaded.files);
}

/** Exports when the certificates of listeners expire. */
export class CertificateMetrics {
  #listeners: () => RenewableListeners = () => ({});

  constructor(registry: Registry) {
    const listenersNow = (): RenewableListeners => this.#listeners();
    new Gauge({
      name: "protogate_tls_certificate_expiry_timestamp_seconds",
      help: "When a certificate that a listener shows expires, seconds since 1970.",
      labelNames: ["listener", "file"],
      aggregator: "min",
      registers: [registry],
      collect() {
        this.reset();
        const open = listenersNow();
        for (const [listener, each] of Object.entries(open)) {
          const shown = each?.shown as ServerTls | undefined;
          if (shown === undefined) continue;
          for (const certificate of [shown, ...(shown.others ?? [])])
            this.set({ listener, file: certificate.certFile }, knownExpiry(certificate) / 1000);
        }
      },
    });
  }

  /** Where listeners come from at each scrape. */
  listenersFrom(source: () => RenewableListeners): void {
    this.#listeners = source;
  }
}
