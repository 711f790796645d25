/** The full name of an element declared in a scope: a package or a message. */
export function qualify(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

/** The scope that a full name is declared in; empty outside of packages. */
export function parentOf(fullName: string): string {
  const dot = fullName.lastIndexOf(".");
  return dot < 0 ? "" : fullName.slice(0, dot);
}

/** The JSON name of a field that sets none (google/protobuf/descriptor.cc, ToJsonName): `user_id` is `userId`. */
export function jsonName(name: string): string {
  if (!name.includes("_")) return name;
  return name.replace(/_+([^_]?)/g, (_, next: string) => next.toUpperCase());
}

/** `user_id` is `UserId`: the stem of a map entry's name. */
export function pascalName(name: string): string {
  const camel = jsonName(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}
