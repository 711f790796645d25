import type { AuthNames } from "../auth/auth-schema.js";
import type { OriginRequest } from "../auth/request-origins.js";
import type { Path } from "../config/diagnostic.js";
import type { Template } from "../routing/template.js";
import { parseTemplate } from "../routing/template-parser.js";
import type { Endpoint } from "./endpoint.js";

/** A prefix that the configuration passes through to an HTTP backend. */
export interface PassThroughRule {
  readonly at: Path;
  /** For any method. */
  readonly method: string;
  readonly template: string;
  /** `/legacy`, without `/` at its end. */
  readonly prefix: string;
  readonly upstream: string;
  readonly websocket: boolean;
  /** Providers of which one must accept; undefined: as `auth.default` says. */
  readonly auth: AuthNames | undefined;
  readonly rateLimit: string | readonly string[] | undefined;
  /** What is asked of a request before it is passed on. @throws GatewayError */
  check?(request: OriginRequest): void;
}

/** A route that no RPC method answers, with its template read. */
export type OwnRoute =
  | {
      readonly kind: "endpoint";
      readonly method: string;
      readonly template: Template;
      readonly endpoint: Endpoint;
    }
  | {
      readonly kind: "pass-through";
      readonly method: string;
      readonly template: Template;
      readonly rule: PassThroughRule;
    };

/** @throws TemplateError */
export function ownRoute(declared: Endpoint | PassThroughRule): OwnRoute {
  const { method } = declared;
  const template = parseTemplate(declared.template);
  return "answer" in declared
    ? { kind: "endpoint", method, template, endpoint: declared }
    : { kind: "pass-through", method, template, rule: declared };
}
