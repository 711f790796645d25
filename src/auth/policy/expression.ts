/**
 * The rules of policies: a closed language whose texts are expressions of CEL (https://cel.dev) too. It is read here and
 * not by a CEL library because request fields are taken from the bytes that the backend gets, without decoding the
 * message, and because every name and type is checked against the descriptors when the configuration is loaded.
 *
 * ```
 * rule       = and *( "||" and )
 * and        = not *( "&&" not )
 * not        = *"!" comparison
 * comparison = operand [ ( "==" / "!=" / "in" ) operand ]
 * operand    = "(" rule ")" / reference / "has(" reference ")" / text / integer / "true" / "false"
 *            / "[" [ operand *( "," operand ) ] "]"
 * reference  = name *( "." name / "[" text "]" )
 * ```
 *
 * A comparison whose sides cannot be compared (an absent claim, a claim of another type) is neither true nor false but
 * unknown, and stays so under `!`; `&&` and `||` take it as Kleene's logic does. A rule holds only where it is true.
 */
export type Expression = Located &
  (
    | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression }
    | { readonly kind: "not"; readonly operand: Expression }
    | { readonly kind: "equal" | "in"; readonly left: Expression; readonly right: Expression }
    | { readonly kind: "has"; readonly reference: Reference }
    | { readonly kind: "list"; readonly items: readonly Expression[] }
    | { readonly kind: "text"; readonly value: string }
    | { readonly kind: "integer"; readonly value: bigint }
    | { readonly kind: "boolean"; readonly value: boolean }
    | Reference
  );

export interface Reference extends Located {
  readonly kind: "reference";
  readonly root: string;
  readonly steps: readonly Step[];
}

export interface Step extends Located {
  readonly name: string;
  /** True for `["name"]`. */
  readonly quoted: boolean;
}

interface Located {
  /** Column of the first character in the rule, from 1. */
  readonly column: number;
}

/** An invalid rule: the error, and its position. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
  constructor(
    message: string,
    /** From 1. */
    readonly column: number,
    readonly suggestion?: string | undefined,
  ) {
    super(message);
  }
}
