import type { Registry } from "prom-client";
import { type FieldViolation, gatewayError } from "../status/failure.js";
import { CounterSeries } from "../telemetry/series.js";

/** The violations of a serialized message of one type, in the order of its rules; empty where it is valid. */
export type Validate = (message: Uint8Array) => readonly FieldViolation[];

/** @throws GatewayError VALIDATION_FAILED with all violations, the first of them in its message */
export function requireValid(message: Uint8Array, validate: Validate | undefined): void {
  const violations = validate?.(message);
  const first = violations?.[0];
  if (violations === undefined || first === undefined) return;
  const more = violations.length === 1 ? "" : ` (and ${violations.length - 1} more)`;
  const text = `${first.field === "" ? "" : `${first.field}: `}${first.description}${more}`;
  throw gatewayError("VALIDATION_FAILED", text, violations);
}

/** Counts requests that were refused for the rules of their messages. One a process; it outlives reloads. */
export class ValidationMetrics {
  readonly #failures: CounterSeries;

  constructor(registry: Registry) {
    this.#failures = new CounterSeries(
      registry,
      "protogate_validation_failures_total",
      "Requests that broke the rules that their messages declare.",
      ["grpc_service", "grpc_method"],
    );
  }

  /** The same validation, its failures counted. */
  counted(validate: Validate, service: string, method: string): Validate {
    const failures = this.#failures.child(service, method);
    return message => {
      const violations = validate(message);
      if (violations.length > 0) failures.inc();
      return violations;
    };
  }
}
