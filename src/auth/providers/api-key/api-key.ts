import { checkPath } from "../../../config/check.js";
import { formatDiagnostic, LoadError } from "../../../config/diagnostic.js";
import type { Loaded } from "../../../config/schema.js";
import { choice, mapping, text } from "../../../config/schema.js";
import type { Caller } from "../../caller.js";
import {
  AMBIGUOUS,
  credentialReader,
  describePlacement,
  isCredential,
  maxCredentialLength,
  placementOf,
} from "../../credential.js";
import type { Identity } from "../../identity.js";
import type { AuthDependencies, ProviderType } from "../../provider.js";
import { CredentialRefusal, type Provider, refuse } from "../../provider.js";
import { placement } from "../fields.js";
import { tokenHash } from "../token-provider.js";
import { watchedFile } from "../watched-file.js";
import { readApiKeys } from "./key-file.js";

const ApiKeySchema = mapping(
  {
    type: choice(["api_key"], { description: "Keys from a file." }),
    keys: text("path", {
      description:
        "YAML file with a list of keys: hash, subject, scopes, metadata, expires. Read again when it changes.",
    }),
    ...placement,
  },
  "Who has a key that the gateway knows the hash of.",
);

type ApiKeyConfig = Loaded<typeof ApiKeySchema>;

export const apiKey = {
  name: "api_key",
  schema: ApiKeySchema,
  check: (at, { keys }, _context, findings) => checkPath([...at, "keys"], keys, "file", findings),
  inspect: ({ keys }, { name, passedHeaders, add }) =>
    add(readApiKeys(keys, name, passedHeaders).diagnostics),
  describe: config => describePlacement(placementOf(config, "x-api-key"), "An API key."),
  create: createApiKeyProvider,
} as const satisfies ProviderType<ApiKeyConfig>;

/** The content of a file. */
interface Keys {
  readonly keys: ReadonlyMap<string, Identity>;
  readonly metadataNames: ReadonlySet<string>;
}

/**
 * Keys from a file that is read again when it changes; with errors in it, the previous keys are kept.
 *
 * A key is looked up by its SHA-256. The time that takes reveals at most the hash of a guess, which the attacker
 * knows anyway, and nothing about other keys: without a preimage, no guess comes nearer to a stored hash.
 * @throws LoadError with every problem of the file
 */
function createApiKeyProvider(
  name: string,
  config: ApiKeyConfig,
  { metrics, log, passedHeaders, now = Date.now }: AuthDependencies,
): Provider {
  const read = (): Keys => {
    const { keys, diagnostics } = readApiKeys(config.keys, name, passedHeaders);
    if (diagnostics.length > 0) throw new LoadError(diagnostics);
    const names = [...keys.values()].flatMap(({ metadata }) => metadata.map(([name]) => name));
    return { keys, metadataNames: new Set(names) };
  };
  const file = watchedFile(config.keys, read, (problem, { keys }) => {
    if (problem === undefined) {
      const message = `the file of keys has been read again: ${keys.size} keys`;
      log({ level: "info", provider: name, message });
      return;
    }
    const problems =
      problem instanceof LoadError ? problem.diagnostics.map(formatDiagnostic) : [String(problem)];
    const message = `the key file has errors; keeping the previous keys: ${problems.join("; ")}`;
    log({ level: "warn", provider: name, message });
  });
  const placement = placementOf(config, "x-api-key");
  const credential = credentialReader(placement);
  return {
    name,
    scheme: placement.scheme ?? "ApiKey",
    counters: metrics.provider(name),
    get metadataNames() {
      return file.content.metadataNames;
    },
    identify: (caller: Caller): Identity | undefined => {
      const key = credential(caller);
      if (key === undefined) return undefined;
      if (key === AMBIGUOUS) refuse("the request has more than one key");
      if (key.length > maxCredentialLength)
        refuse(`the key is longer than ${maxCredentialLength} characters`);
      // HTTP has bytes where sockets have UTF-8: anything but ASCII would be one key here and another one there.
      if (!isCredential(key)) refuse("the key contains invalid characters");
      const identity = file.content.keys.get(tokenHash(key));
      if (identity === undefined) {
        // A client must not discard a new key because the current file is malformed.
        if (file.problem !== undefined)
          throw new CredentialRefusal("unavailable", "the file of keys has errors");
        refuse("the key is not in the file");
      }
      if (identity.expiresAt !== undefined && identity.expiresAt <= now()) {
        throw new CredentialRefusal("expired", `the key of "${identity.subject}" has expired`);
      }
      return identity;
    },
    close: () => file.close(),
  };
}
