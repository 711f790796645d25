import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileProblem } from "../config/diagnostic.js";
import { Formats } from "../config/format.js";
import type { JwtAlgorithm } from "./auth-schema.js";

const curves: Readonly<Record<string, JwtAlgorithm>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

/**
 * A public key, or that of a certificate.
 * @param value PEM, or the path of a PEM file
 * @throws Error where there is none, where it is a private one, or where one of the algorithms cannot use it
 */
export function publicKey(value: string, algorithms: readonly JwtAlgorithm[]): KeyObject {
  const isFile = Formats.pathOrPem.isPath?.(value) === true;
  const key = keyOf(isFile ? read(value) : value, isFile ? `"${value}"` : "the text");
  for (const algorithm of algorithms) {
    const found = kindOf(key);
    if (!fits(key, algorithm)) throw new Error(`${algorithm} cannot use this key, which is ${found}`);
  }
  return key;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`"${file}" ${fileProblem(error)}`);
  }
}

function keyOf(pem: string, name: string): KeyObject {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new Error(`${name} holds a private key; expected the public one, which is all that is needed here`);
  }
  try {
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return new X509Certificate(pem).publicKey;
    return createPublicKey(pem);
  } catch {
    throw new Error(`${name} is not a PEM public key or certificate`);
  }
}

function kindOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  const bits = details?.modulusLength ?? 0;
  if (type === "rsa") return `RSA with ${bits} bits${bits < 2048 ? "; at least 2048 are needed" : ""}`;
  return type === "ec" ? `of the curve ${details?.namedCurve}` : String(type);
}

function fits(
  { asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject,
  algorithm: JwtAlgorithm,
): boolean {
  if (/^[RP]S/.test(algorithm)) return type === "rsa" && (details?.modulusLength ?? 0) >= 2048;
  if (algorithm.startsWith("ES")) return type === "ec" && curves[details?.namedCurve ?? ""] === algorithm;
  return (algorithm === "EdDSA" || algorithm === "Ed25519") && type === "ed25519";
}
