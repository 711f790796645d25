import { TranscodeError } from "../codec/error.js";
import { isJsonObject, JsonNumber } from "../codec/json.js";
import { exactInteger } from "../codec/json-to-wire/decimal.js";
import { parseJson } from "../codec/json-to-wire/parse-json.js";
import type { HeaderList } from "../net/headers.js";
import { refuse } from "./provider.js";

/** JSON values by name, numbers as `JsonNumber` where a double would not print the same text; no prototype. */
export type Claims = Readonly<Record<string, unknown>>;

/** A copy that no name can lead out of, `__proto__` included. */
export function bareClaims(claims: Readonly<Record<string, unknown>>): Claims {
  const bare: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(claims)) bare[name] = value;
  return Object.freeze(bare);
}

/** Most levels of lists and objects in claims. */
const depth = 100;

/**
 * Claims by the strict reader, with the digits of each number: a user's id of more than 53 bits must not become that of
 * another.
 * @throws TranscodeError for anything but a JSON object, or with names that occur twice (RFC 7519 §4)
 */
export function parseClaims(text: Uint8Array): Claims {
  const claims = parseJson(text, { depth });
  if (isJsonObject(claims)) return bareClaims(claims);
  throw new TranscodeError("INVALID_VALUE", "", "expected a JSON object");
}

/**
 * A claim by its name, or by a way of dots through nested ones where no claim has the whole name (names may be URLs).
 */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const step of path.split(".")) {
    if (!isRecord(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

/** @throws CredentialRefusal unless it is a text with content that a log line can show */
export function subjectOf(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") refuse(`"${name}" must be a non-empty string`);
  if (value.length > 512) refuse(`"${name}" is longer than 512 characters`);
  return value;
}

const noScopes: ReadonlySet<string> = new Set();

/** A text with spaces between the scopes (RFC 8693 §4.2), or a list of texts; anything else is none. */
export function scopesOf(value: unknown): ReadonlySet<string> {
  if (typeof value === "string") return new Set(value.split(" ").filter(scope => scope !== ""));
  if (!Array.isArray(value)) return noScopes;
  return new Set(value.filter(scope => typeof scope === "string" && scope !== ""));
}

/** Most characters that the values of one identity may have as metadata, names not counted. */
const maxMetadataLength = 8192;

/** Makes metadata of claims, by `claims_to_metadata`; a claim that is absent or null makes none. */
export function metadataMapper(names: Readonly<Record<string, string>>): (claims: Claims) => HeaderList {
  const entries = Object.entries(names);
  /** @throws CredentialRefusal where it is too much for a header block */
  return claims => {
    const metadata: [string, string][] = [];
    let length = 0;
    for (const [claim, name] of entries) {
      const value = metadataValue(claimAt(claims, claim));
      if (value === undefined) continue;
      length += value.length;
      metadata.push([name, value]);
    }
    if (length > maxMetadataLength)
      refuse(`the claims make more than ${maxMetadataLength} characters of metadata`);
    return metadata;
  };
}

function metadataValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value))
    return value.map(item => encoded(plainText(item), /[^\x21-\x7e]|[%,]/gu)).join(",");
  return encodeMetadata(plainText(value));
}

/** A claim as text: texts as they are, whole numbers by their digits, anything else as JSON. */
export function plainText(value: unknown): string {
  if (value instanceof JsonNumber) return exactInteger(value.text)?.toString() ?? value.text;
  return typeof value === "object" ? jsonText(value) : String(value);
}

/** JSON text with each number as it was read. */
function jsonText(value: unknown): string {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`,
  );
  return `{${members.join(",")}}`;
}

/** The whole number that a claim is, however it is written; undefined for any other value. */
export function integerOf(claim: unknown): bigint | undefined {
  if (claim instanceof JsonNumber) return exactInteger(claim.text);
  return Number.isSafeInteger(claim) ? BigInt(claim as number) : undefined;
}

/**
 * Text as metadata can carry it: characters other than printable ASCII, `%`, and spaces at either end are
 * percent-encoded UTF-8. In lists the items' own commas and spaces are too, so that a comma always separates two items.
 */
export function encodeMetadata(text: string): string {
  return encoded(text, /[^\x20-\x7e]|%|^ +| +$/gu);
}

function encoded(text: string, reserved: RegExp): string {
  return wellFormed(text).replace(reserved, part => encodeURIComponent(part).replaceAll(",", "%2C"));
}

/** Halves of surrogate pairs become U+FFFD. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}
