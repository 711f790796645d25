import type { Identity } from "./identity.js";

/** What the policies demand that match one route. Evaluated twice, because a request's fields are known late. */
export interface Authorizer {
  /**
   * What needs no field of the request: scopes and claims. Runs before the body is read.
   * @param segments decoded path segments
   * @throws GatewayError
   */
  before(identity: Identity | undefined, segments: readonly string[]): void;
  /**
   * What compares with fields of the request, read from the very bytes that the backend gets; undefined where no
   * policy does.
   * @throws GatewayError
   */
  readonly after:
    | ((identity: Identity | undefined, message: Uint8Array, segments: readonly string[]) => void)
    | undefined;
}
