/** What requests are counted together by. */
export type LimitKey =
  | { readonly kind: "ip" | "subject" | "global" }
  /** `name` is in lower case. */
  | { readonly kind: "header"; readonly name: string };

/** The key that a text of the configuration names; undefined where it names none. */
export function limitKey(text: string): LimitKey | undefined {
  switch (text) {
    case "ip":
    case "subject":
    case "global":
      return { kind: text };
    // An API key is known by the subject that it stands for.
    case "api_key":
      return { kind: "subject" };
    default: {
      const name = /^header:([A-Za-z0-9_.-]{1,128})$/.exec(text)?.[1];
      return name === undefined ? undefined : { kind: "header", name: name.toLowerCase() };
    }
  }
}
