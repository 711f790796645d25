/** A JSON number that a double cannot hold exactly (`9007199254740993`, `1e400`), kept as its source text. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

export interface JsonObject {
  [name: string]: JsonValue;
}

/** Parsed JSON. Objects have no prototype, so that any name is an ordinary key. */
export type JsonValue = null | boolean | number | string | JsonNumber | JsonValue[] | JsonObject;
