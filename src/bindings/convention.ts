import type { MethodType } from "../descriptors/model.js";
import type { HttpRule } from "./http-rule.js";

const methodsByWord: ReadonlyMap<string, string> = new Map([
  ["get", "GET"],
  ["find", "GET"],
  ["query", "GET"],
  ["list", "GET"],
  ["search", "GET"],
  ["create", "POST"],
  ["post", "POST"],
  ["update", "PUT"],
  ["put", "PUT"],
  ["patch", "PATCH"],
  ["delete", "DELETE"],
]);

/** The first word of a method name in lower case: `GetArticles` → `get`, `Getaway` → `getaway`, `list_users` → `list`. */
export function firstWord(name: string): string {
  const word = /^(?:[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+)/.exec(name)?.[0] ?? name;
  return word.toLowerCase();
}

/**
 * The binding of a method without annotation by the naming convention: the first word of its
 * name decides the HTTP method, the path is the RPC's own.
 */
export function conventionalRule(method: MethodType): HttpRule {
  const httpMethod = methodsByWord.get(firstWord(method.name)) ?? "POST";
  const body = httpMethod === "GET" || httpMethod === "DELETE" ? "" : "*";
  return { method: httpMethod, template: method.path, body, responseBody: "" };
}

/** `bindings: [auto]`: POST on the RPC's own path, the whole request from the body. */
export function automaticRule(method: MethodType): HttpRule {
  return { method: "POST", template: method.path, body: "*", responseBody: "" };
}
