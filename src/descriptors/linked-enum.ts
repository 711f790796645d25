import { type EnumValueProto, Path } from "./descriptor-proto.js";
import { FEATURES_FIELD, type Features, resolveFeatures } from "./features.js";
import { LinkedElement, type LinkedFile } from "./linked-element.js";
import type { EnumType, EnumValue, Model } from "./model.js";
import { type EnumSymbol, qualify } from "./symbol-table.js";

export class LinkedEnum extends LinkedElement implements EnumType {
  readonly kind = "enum";
  readonly closed: boolean;
  readonly #symbol: EnumSymbol;
  #values: readonly EnumValue[] | undefined;
  #byName: ReadonlyMap<string, EnumValue> | undefined;
  #byNumber: ReadonlyMap<number, EnumValue> | undefined;

  constructor(model: Model, file: LinkedFile, symbol: EnumSymbol, inherited: Features) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Enum");
    this.#symbol = symbol;
    this.closed = resolveFeatures(inherited, symbol.proto.options, FEATURES_FIELD.enum).closedEnums;
  }

  get values(): readonly EnumValue[] {
    if (this.#values !== undefined) return this.#values;
    const { proto, path, parent } = this.#symbol;
    // Values are siblings of their enum, as in C++.
    const scope = parent?.fullName ?? this.file.package;
    this.#values = proto.value.map((value, index) => {
      const place = `${path},${Path.ENUM_VALUE},${index}`;
      return new LinkedEnumValue(this.model, this.file, qualify(scope, value.name), value, place);
    });
    return this.#values;
  }

  get valuesByName(): ReadonlyMap<string, EnumValue> {
    this.#byName ??= new Map(this.values.map(value => [value.name, value]));
    return this.#byName;
  }

  get valuesByNumber(): ReadonlyMap<number, EnumValue> {
    this.#byNumber ??= new Map(this.values.map(value => [value.number, value] as const).reverse());
    return this.#byNumber;
  }
}

class LinkedEnumValue extends LinkedElement implements EnumValue {
  readonly number: number;

  constructor(model: Model, file: LinkedFile, fullName: string, proto: EnumValueProto, path: string) {
    super(model, file, fullName, proto, path, "EnumValue");
    this.number = proto.number;
  }
}
