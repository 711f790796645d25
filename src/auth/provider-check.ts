import type { Diagnostic, FilePosition } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import { Formats } from "../config/format.js";
import { readApiKeys } from "./api-key-file.js";
import type { AuthSections, JwtConfig } from "./auth-schema.js";
import type { AuthDependencies } from "./dependencies.js";
import { readJwkSetFile } from "./jwt-keys.js";
import { reasonOf } from "./provider.js";
import { publicKey } from "./public-key.js";
import { PlanError, rpcPlan } from "./rpc-plan.js";

/**
 * What is wrong with the files of providers, and with the methods that they ask: errors, each at its place. Asks
 * nothing of the network.
 */
export function checkProviders(
  { auth }: Pick<AuthSections, "auth">,
  { model, passedHeaders: passed }: Pick<AuthDependencies, "model" | "passedHeaders">,
  locate: (path: Path) => FilePosition,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const [name, provider] of Object.entries(auth.providers)) {
    const at = ["auth", "providers", name];
    const error = (key: string, message: string, suggestion?: string): void => {
      const path = [...at, key];
      diagnostics.push({
        severity: "error",
        message,
        position: locate(path),
        path: formatPath(path),
        ...(suggestion !== undefined && { suggestion }),
      });
    };
    if (provider.type === "jwt") {
      checkKeys(provider, error);
      const short = shortSecret(provider);
      if (short !== undefined) {
        const path = [...at, "secret"];
        diagnostics.push({
          severity: "warning",
          message: short,
          position: locate(path),
          path: formatPath(path),
        });
      }
    }
    if (provider.type === "api_key")
      diagnostics.push(...readApiKeys(provider.keys, name, passed).diagnostics);
    if (provider.type !== "rpc") continue;
    try {
      rpcPlan(provider, model);
    } catch (problem) {
      if (!(problem instanceof PlanError)) throw problem;
      error(problem.key, problem.message, problem.suggestion);
    }
  }
  return diagnostics;
}

/** RFC 7518 §3.2: a key must be at least as long as the hash; a shorter one can be guessed from any token. */
function shortSecret({ secret, algorithms }: JwtConfig): string | undefined {
  if (secret === undefined) return undefined;
  const wanted = Math.max(...algorithms.map(algorithm => Number(algorithm.slice(2)) / 8));
  if (Buffer.byteLength(secret) >= wanted) return undefined;
  return `the secret is shorter than ${wanted} bytes (RFC 7518 §3.2); it can be guessed from any token`;
}

function checkKeys(
  { public_key: pem, jwks, algorithms }: JwtConfig,
  error: (key: string, message: string) => void,
): void {
  if (pem !== undefined) {
    const problem = problemOf(() => publicKey(pem, algorithms));
    if (problem !== undefined) error("public_key", problem);
  }
  if (jwks !== undefined && Formats.pathOrUrl.isPath?.(jwks)) {
    const problem = problemOf(() => readJwkSetFile(jwks));
    if (problem !== undefined) error("jwks", problem);
  }
}

function problemOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
