import { hash } from "node:crypto";
import type { Static } from "typebox";
import { Decoder } from "../../../config/decoder.js";
import type { Diagnostic } from "../../../config/diagnostic.js";
import { Findings } from "../../../config/findings.js";
import type { SchemaNode } from "../../../config/schema.js";
import { listOf, mapping, text } from "../../../config/schema.js";
import { Source } from "../../../config/source.js";
import { Type } from "../../../config/type-builder.js";
import { isReservedMetadata } from "../../../net/headers.js";
import { bareClaims, encodeMetadata } from "../../claims.js";
import { isCredential } from "../../credential.js";
import type { Identity } from "../../identity.js";

const KeysSchema = Type.Array(
  mapping(
    {
      hash: text("sha256", { description: "SHA-256 of the key." }),
      subject: text("nonempty", { description: "Who has the key." }),
      scopes: listOf(text("nonempty", { description: "A scope." }), {
        description: "What the key is for.",
        default: [],
      }),
      metadata: Type.Record(
        Type.String({ pattern: "^[a-z0-9_.-]{1,128}$" }),
        text("any", { description: "The value." }),
        {
          default: {},
          propertyNames: { description: "a name of metadata in lower case" },
          description: "Metadata for the backend.",
        },
      ),
      expires: Type.Optional(text<number>("instant", { description: "When the key ceases to be accepted." })),
    },
    "A key.",
  ),
);

/** The entry of a key in a file. Keys must be random (128 bits or more): a hash alone does not protect a password. */
export function hashApiKey(key: string): string {
  if (!isCredential(key)) throw new Error("expected a key of visible ASCII characters without commas");
  return `sha256:${hash("sha256", key, "hex")}`;
}

export interface ApiKeyFile {
  /** Who has which key, by `tokenHash` of the key. */
  readonly keys: ReadonlyMap<string, Identity>;
  /** Errors only. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads a file of keys. Never throws for any content of it.
 * @param passed request headers that services pass on, with the paths that configure it
 */
export function readApiKeys(file: string, provider: string, passed: ReadonlyMap<string, string>): ApiKeyFile {
  const source = Source.read(file, "the file of keys");
  const keys = new Map<string, Identity>();
  if (source.diagnostics.length > 0) return { keys, diagnostics: source.diagnostics };
  const findings = new Findings(source);
  const decoder = new Decoder(findings, { env: {} });
  const entries = decoder.decode(KeysSchema as unknown as SchemaNode, source.root) as
    | Partial<Static<typeof KeysSchema>[number]>[]
    | undefined;
  const first = new Map<string, number>();
  entries?.forEach((entry, index) => {
    if (entry === undefined) return;
    for (const name of Object.keys(entry.metadata ?? {})) {
      const where = passed.get(name);
      const at = [index, "metadata", name];
      if (isReservedMetadata(name))
        findings.error(at, `"${name}" is written by the gateway and gRPC themselves`);
      else if (where !== undefined)
        findings.error(at, `"${name}" is also passed from the client by ${where}`);
    }
    if (entry.hash === undefined) return;
    const earlier = first.get(entry.hash);
    if (earlier === undefined) first.set(entry.hash, index);
    else findings.error([index, "hash"], `the key has an entry already, [${earlier}]`);
  });
  const { diagnostics } = findings;
  if (diagnostics.length > 0) return { keys, diagnostics };
  for (const entry of (entries ?? []) as Static<typeof KeysSchema>) {
    const digest = Buffer.from(entry.hash.slice("sha256:".length), "hex").toString("base64");
    keys.set(digest, identityOf(provider, entry));
  }
  return { keys, diagnostics };
}

function identityOf(
  provider: string,
  { subject, scopes, metadata, expires }: Static<typeof KeysSchema>[number],
): Identity {
  return Object.freeze({
    provider,
    subject,
    scopes: new Set(scopes),
    claims: bareClaims({ sub: subject, scope: scopes.join(" ") }),
    metadata: Object.entries(metadata).map(([name, value]) => [name, encodeMetadata(value)] as const),
    expiresAt: expires,
  });
}
