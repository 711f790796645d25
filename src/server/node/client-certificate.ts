import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { ClientCertificate } from "../../auth/caller.js";

/** By connection; null where the client has proved nothing. */
const known = new WeakMap<Socket, ClientCertificate | null>();

/** The client's certificate, where the listener requests one and its authorities have signed it. */
export function clientCertificate(socket: Socket): ClientCertificate | undefined {
  let found = known.get(socket);
  if (found === undefined) {
    // A resumed TLS 1.3 session without certificate counts as authorized all the same.
    const verified = socket instanceof TLSSocket && socket.authorized;
    const certificate = verified ? socket.getPeerX509Certificate() : undefined;
    found = certificate === undefined ? null : described(certificate);
    known.set(socket, found);
  }
  return found ?? undefined;
}

function described(certificate: X509Certificate): ClientCertificate {
  const { CN: name } = certificate.toLegacyObject().subject ?? {};
  return {
    subject: distinguishedName(certificate.subject),
    commonName: Array.isArray(name) ? name.at(-1) : name,
    names: alternativeNames(certificate.subjectAltName ?? ""),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** RFC 4514 §2.1: the last part first. Node.js has one part a line, values escaped already. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? "").split("\n").reverse().join(",");
}

/** `DNS:a, URI:b` as a list; Node.js puts names that could be read as several into JSON strings. */
export function alternativeNames(text: string): string[] {
  const names: string[] = [];
  const pattern = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/gy;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, type = "", value = ""] = match;
    names.push(`${type}:${value.startsWith('"') ? JSON.parse(value) : value}`);
    if (pattern.lastIndex === text.length) break;
  }
  return names;
}
