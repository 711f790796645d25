import type { Loaded } from "../../config/schema.js";
import { choice, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import type { Caller, ClientCertificate } from "../caller.js";
import { bareClaims, type Claims, metadataMapper, subjectOf } from "../claims.js";
import type { Identity } from "../identity.js";
import type { AuthDependencies, ProviderType } from "../provider.js";
import { CredentialRefusal, type Provider, refuse } from "../provider.js";
import { claimsToMetadata } from "./fields.js";

const MtlsSchema = mapping(
  {
    type: choice(["mtls"], {
      description: "Client certificates, which `listeners.http.tls.client_ca` verifies.",
    }),
    subject_from: choice(["subject", "cn", "dns", "uri", "email", "fingerprint"], {
      description:
        "The part of the certificate that is the subject: its subject, the common name in it, an alternative name, or its SHA-256.",
      default: "subject",
    }),
    allow: Type.Optional(
      Type.Array(text("nonempty", { description: "A subject; `*` stands for any text." }), {
        minItems: 1,
        description: "The subjects that are accepted. Left out, all that the authorities have certified.",
      }),
    ),
    claims_to_metadata: claimsToMetadata,
  },
  "Who has a certificate of an authority that the listener trusts.",
);

type MtlsConfig = Loaded<typeof MtlsSchema>;

export const mtls = {
  name: "mtls",
  schema: MtlsSchema,
  check: (at, _config, { clientCertificates }, findings) => {
    if (clientCertificates !== false) return;
    findings.error(at, "client certificates need listeners.http.tls.client_ca; it is missing");
  },
  describe: () => [{ type: "mutualTLS", description: "A client certificate." }],
  create: createMtlsProvider,
} as const satisfies ProviderType<MtlsConfig>;

/**
 * Certificates that the listener has verified. Where a certificate has several names of the kind that counts, the first
 * that is allowed is the subject. Claims: `sub`, `subject`, `cn`, `dns`, `uri`, `email` (lists) and `fingerprint`.
 */
function createMtlsProvider(
  name: string,
  config: MtlsConfig,
  { metrics }: Pick<AuthDependencies, "metrics">,
): Provider {
  const allowed = config.allow?.map(globPattern);
  const metadataOf = metadataMapper(config.claims_to_metadata);
  // A connection has one certificate for all of its requests.
  const known = new WeakMap<ClientCertificate, Identity | CredentialRefusal>();

  const identityOf = (certificate: ClientCertificate): Identity => {
    const candidates = candidatesOf(certificate, config.subject_from);
    const subject = candidates.find(text => allowed?.some(pattern => pattern.test(text)) ?? true);
    if (subject === undefined) {
      const some = candidates.length === 0 ? "nothing" : candidates.join(", ");
      refuse(`the certificate has ${some} as ${config.subject_from}, which is not allowed`);
    }
    const claims = claimsOf(certificate, subjectOf(subject, config.subject_from));
    return Object.freeze({
      provider: name,
      subject,
      scopes: new Set<string>(),
      claims,
      metadata: metadataOf(claims),
      expiresAt: undefined,
    });
  };

  return {
    name,
    scheme: "ClientCertificate",
    counters: metrics.provider(name),
    identify: (caller: Caller): Identity | undefined => {
      const certificate = caller.certificate();
      if (certificate === undefined) return undefined;
      let found = known.get(certificate);
      if (found === undefined) {
        found = settled(() => identityOf(certificate));
        known.set(certificate, found);
      }
      if (found instanceof CredentialRefusal) throw found;
      return found;
    },
    close: () => undefined,
  };
}

function settled(make: () => Identity): Identity | CredentialRefusal {
  try {
    return make();
  } catch (error) {
    if (error instanceof CredentialRefusal) return error;
    throw error;
  }
}

const nameTypes = { dns: "DNS:", uri: "URI:", email: "email:" } as const;

function candidatesOf(certificate: ClientCertificate, from: MtlsConfig["subject_from"]): readonly string[] {
  switch (from) {
    case "subject":
      return certificate.subject === "" ? [] : [certificate.subject];
    case "cn":
      return certificate.commonName === undefined ? [] : [certificate.commonName];
    case "fingerprint":
      return [certificate.fingerprint];
    default:
      return namesOf(certificate, from);
  }
}

function namesOf({ names }: ClientCertificate, type: keyof typeof nameTypes): readonly string[] {
  const prefix = nameTypes[type];
  return names.filter(name => name.startsWith(prefix)).map(name => name.slice(prefix.length));
}

function claimsOf(certificate: ClientCertificate, subject: string): Claims {
  return bareClaims({
    sub: subject,
    subject: certificate.subject,
    ...(certificate.commonName !== undefined && { cn: certificate.commonName }),
    dns: namesOf(certificate, "dns"),
    uri: namesOf(certificate, "uri"),
    email: namesOf(certificate, "email"),
    fingerprint: certificate.fingerprint,
  });
}

/** `*` matches any text; everything else itself. */
function globPattern(glob: string): RegExp {
  const parts = glob.split("*").map(part => part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su");
}
