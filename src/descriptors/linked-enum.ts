import { atOnce, type Steps } from "../net/pace.js";
import { type EnumValueProto, Path } from "./descriptor-proto.js";
import { FEATURES_FIELD, type Features, resolveFeatures } from "./features.js";
import { LinkedElement, type LinkedFile } from "./linked-element.js";
import type { EnumType, EnumValue, Model } from "./model.js";
import { type EnumSymbol, qualify } from "./symbol-table.js";

interface Members {
  readonly values: readonly EnumValue[];
  readonly byName: ReadonlyMap<string, EnumValue>;
  readonly byNumber: ReadonlyMap<number, EnumValue>;
}

/** The values are linked when first asked for: most enums of a large model never are. */
export class LinkedEnum extends LinkedElement implements EnumType {
  readonly kind = "enum";
  readonly closed: boolean;
  readonly #symbol: EnumSymbol;
  #members: Members | undefined;

  constructor(model: Model, file: LinkedFile, symbol: EnumSymbol, inherited: Features) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Enum");
    this.#symbol = symbol;
    this.closed = resolveFeatures(inherited, symbol.proto.options, FEATURES_FIELD.enum).closedEnums;
  }

  get values(): readonly EnumValue[] {
    return this.#linked().values;
  }

  get valuesByName(): ReadonlyMap<string, EnumValue> {
    return this.#linked().byName;
  }

  get valuesByNumber(): ReadonlyMap<number, EnumValue> {
    return this.#linked().byNumber;
  }

  /** Links the values now. */
  *link(): Steps {
    this.#members ??= yield* this.#link();
  }

  #linked(): Members {
    this.#members ??= atOnce(this.#link());
    return this.#members;
  }

  *#link(): Steps<Members> {
    const { proto, path, parent } = this.#symbol;
    // Values are siblings of their enum, as in C++.
    const scope = parent?.fullName ?? this.file.package;
    const values: EnumValue[] = [];
    const byName = new Map<string, EnumValue>();
    const byNumber = new Map<number, EnumValue>();
    for (const [index, value] of proto.value.entries()) {
      yield 4;
      const position = `${path},${Path.ENUM_VALUE},${index}`;
      const linked = new LinkedEnumValue(this.model, this.file, qualify(scope, value.name), value, position);
      values.push(linked);
      byName.set(linked.name, linked);
      if (!byNumber.has(linked.number)) byNumber.set(linked.number, linked);
    }
    return { values, byName, byNumber };
  }
}

class LinkedEnumValue extends LinkedElement implements EnumValue {
  readonly number: number;

  constructor(model: Model, file: LinkedFile, fullName: string, proto: EnumValueProto, path: string) {
    super(model, file, fullName, proto, path, "EnumValue");
    this.number = proto.number;
  }
}
