import type { EnumType } from "../../descriptors/model.js";
import type { Facts } from "./truth.js";

/** What is known at load of the values that an operand can have. */
export type Type =
  | { readonly kind: "text" | "integer" | "boolean" }
  | { readonly kind: "enum"; readonly enum: EnumType }
  /** A JSON value of any kind. */
  | { readonly kind: "claim" }
  | { readonly kind: "list"; readonly element: Type };

/** A value: string, bigint, boolean, the number of an enum's value, a JSON value of a claim, or a list of them. */
export interface Operand {
  readonly type: Type;
  /** For people: `request.user_id (int64 user_id)`. */
  readonly shown: string;
  readonly column: number;
  readonly needsMessage: boolean;
  readonly needsIdentity: boolean;
  /** Set exactly for literals. */
  readonly literal?: string | bigint | boolean;
  /** Set for lists in brackets. */
  readonly items?: readonly Operand[];
  /** Undefined where there is no value to compare with. */
  read(facts: Facts): unknown;
}
