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
