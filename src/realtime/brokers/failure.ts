import { GatewayError, gatewayFailure } from "../../status/failure.js";

/** The server of the broker cannot do what it was asked; whether it did is not known. */
export function brokerUnavailable(): GatewayError {
  return new GatewayError(
    gatewayFailure("BROKER_UNAVAILABLE", "the broker cannot be reached", [], { retryAfter: 1 }),
  );
}
