import { varintField, WireReader } from "../../wire/reader.js";
import { LENGTH } from "../../wire/wire-type.js";

/** Resolved features of one element (https://protobuf.dev/editions/features/), as far as the wire is concerned. */
export interface Features {
  readonly presence: "explicit" | "implicit" | "required";
  readonly closedEnums: boolean;
  readonly packed: boolean;
  readonly utf8: boolean;
  readonly delimited: boolean;
}

const proto2Features: Features = {
  presence: "explicit",
  closedEnums: true,
  packed: false,
  utf8: false,
  delimited: false,
};
const proto3Features: Features = {
  presence: "implicit",
  closedEnums: false,
  packed: true,
  utf8: true,
  delimited: false,
};
const edition2023Features: Features = { ...proto3Features, presence: "explicit" };

/** The defaults of a file (google/protobuf/descriptor.proto, `edition_defaults`). 2024 and 2026 change nothing here. */
export function defaultFeatures(syntax: "proto2" | "proto3" | "editions"): Features {
  if (syntax === "editions") return edition2023Features;
  return syntax === "proto3" ? proto3Features : proto2Features;
}

/** Number of `features` in each options message. */
export const featuresField = { file: 50, message: 12, field: 21, oneof: 1, enum: 7 } as const;

/** The features of an element: those it sets itself, else the inherited ones. */
export function resolveFeatures(
  inherited: Features,
  options: Uint8Array | undefined,
  field: number,
): Features {
  if (options === undefined || options.length === 0) return inherited;
  let features = inherited;
  const reader = new WireReader(options);
  while (reader.next()) {
    if (reader.number === field && reader.wireType === LENGTH)
      features = override(features, reader.delimited());
    else reader.skip();
  }
  return features;
}

/** @param set a serialized `google.protobuf.FeatureSet` */
function override(features: Features, set: Uint8Array): Features {
  const presence = varintField(set, 1) ?? 0;
  return {
    presence: ([undefined, "explicit", "implicit", "required"] as const)[presence] ?? features.presence,
    closedEnums: choose(varintField(set, 2), 2, 1, features.closedEnums),
    packed: choose(varintField(set, 3), 1, 2, features.packed),
    utf8: choose(varintField(set, 4), 2, 3, features.utf8),
    delimited: choose(varintField(set, 5), 2, 1, features.delimited),
  };
}

/** True or false where the value is `yes` or `no`, else the inherited value. */
function choose(value: number | undefined, yes: number, no: number, inherited: boolean): boolean {
  if (value === yes) return true;
  return value === no ? false : inherited;
}
