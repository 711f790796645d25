import { originMatcher } from "../auth/request-origins.js";
import type { CorsConfig } from "../config/schema.js";
import type { HeaderList } from "../server/exchange.js";

/** Who may read replies (Fetch standard, section 3.2), decided on header values alone. */
export interface Cors {
  /**
   * What every reply carries, whatever its status: a page can read only the errors that its origin may read.
   * @param origin the Origin header
   */
  answer(origin: string | undefined): HeaderList;
  /**
   * What the reply to a preflight carries besides, to be sent with 204 before anything else is asked of the request: a
   * preflight has no credentials. Undefined where it is none, or of an origin that may not call, or where the path has
   * no route.
   * @param requestMethod the Access-Control-Request-Method header of an OPTIONS request
   * @param allow the methods that the path has routes for, `*` for any
   */
  preflight(
    origin: string | undefined,
    requestMethod: string | undefined,
    allow: readonly string[],
  ): HeaderList | undefined;
}

/** Where nothing is configured no page of another origin may call, and replies say nothing of it. */
const noCors: Cors = { answer: () => [], preflight: () => undefined };

export function createCors(config: CorsConfig | undefined): Cors {
  if (config === undefined) return noCors;
  const answer = answers(config);
  const methods = config.methods && new Set(config.methods);
  const constant: [string, string][] = [];
  if (config.allow_headers.length > 0)
    constant.push(["access-control-allow-headers", config.allow_headers.join(", ")]);
  constant.push(["access-control-max-age", String(Math.floor(config.max_age / 1000))]);
  return {
    answer: origin => (origin === undefined ? answer.absent : (answer.of(origin) ?? answer.refused)),
    preflight: (origin, requestMethod, allow) => {
      if (origin === undefined || requestMethod === undefined || allow.length === 0) return undefined;
      if (answer.of(origin) === undefined) return undefined;
      const answered = answeredMethods(allow, requestMethod).filter(each => methods?.has(each) ?? true);
      return answered.length === 0
        ? constant
        : [["access-control-allow-methods", answered.join(", ")], ...constant];
    },
  };
}

interface Answers {
  /** For a request without Origin. */
  readonly absent: HeaderList;
  /** For an origin that is not listed. */
  readonly refused: HeaderList;
  /** Undefined where the origin is not listed. */
  of(origin: string): HeaderList | undefined;
}

function answers({ origins, credentials, expose_headers }: CorsConfig): Answers {
  const more: [string, string][] = [];
  if (credentials) more.push(["access-control-allow-credentials", "true"]);
  if (expose_headers.length > 0) more.push(["access-control-expose-headers", expose_headers.join(", ")]);
  if (origins.includes("*")) {
    const all: HeaderList = [["access-control-allow-origin", "*"], ...more];
    return { absent: all, refused: all, of: () => all };
  }
  const vary: HeaderList = [["vary", "Origin"]];
  const allowed = (origin: string): HeaderList => [...vary, ["access-control-allow-origin", origin], ...more];
  const listed = originMatcher(origins);
  const exact = new Map(origins.map(origin => [origin, allowed(origin)]));
  return {
    absent: vary,
    refused: vary,
    of: origin => exact.get(origin) ?? (listed(origin) ? allowed(origin) : undefined),
  };
}

const token = /^[A-Z-]{1,32}$/;

/** HEAD follows GET; a path that takes any method takes the one that is asked for. */
function answeredMethods(allow: readonly string[], requestMethod: string): string[] {
  const all = new Set(allow);
  if (all.delete("*") && token.test(requestMethod)) all.add(requestMethod);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}
