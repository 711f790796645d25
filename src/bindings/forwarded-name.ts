/** A declared header or metadata entry that passes; both have the same name, in lower case. */
export interface ForwardedName {
  readonly name: string;
  /** True for `-bin` names, whose values are base64 in HTTP and bytes in gRPC. */
  readonly binary: boolean;
}

/** @param names as the loaded configuration has them: in lower case, none that gRPC or the connection owns */
export function forwardedNames(names: readonly string[]): ForwardedName[] {
  return names.map(name => ({ name, binary: name.endsWith("-bin") }));
}
