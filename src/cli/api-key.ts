import { randomBytes } from "node:crypto";
import { hashApiKey } from "../auth/providers/api-key/key-file.js";
import { readArguments } from "./arguments.js";

/** Makes an API key and its entry for the key file. The key itself is shown once and kept nowhere. */
export async function apiKey(args: readonly string[]): Promise<number> {
  const [subject = ""] = readArguments(args, { positionals: ["SUBJECT"] }).positionals;
  const key = randomBytes(24).toString("base64url");
  process.stdout.write(
    `key, for the caller:  ${key}\n` +
      `entry of the key file:   - { hash: "${hashApiKey(key)}", subject: ${JSON.stringify(subject)} }\n`,
  );
  return 0;
}
