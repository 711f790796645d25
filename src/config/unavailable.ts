/** How a value is written: a scalar with its value, a mapping with its keys. */
export type WrittenValue =
  | { readonly kind: "scalar"; readonly value: string | number | boolean | null }
  | { readonly kind: "list" }
  | { readonly kind: "mapping"; readonly keys: readonly string[] };

/** A key or a value that belongs to the format of the configuration but that this version does not do. */
export interface Unavailable {
  /** Where: keys joined by dots, `*` for a list index or for a name that the user chooses. */
  readonly at: string;
  /** Which of the written values; without it the key itself is unavailable. */
  readonly when?: (value: WrittenValue) => boolean;
}

/** Known keys that a file may not contain. */
export class KnownMistakes {
  readonly #keys: ReadonlySet<string>;
  readonly #values: ReadonlyMap<string, (value: WrittenValue) => boolean>;

  /** @param misplaced by path as in `Unavailable.at`: keys that are known elsewhere, and the correction */
  constructor(
    unavailable: readonly Unavailable[],
    readonly misplaced: ReadonlyMap<string, string>,
  ) {
    this.#keys = new Set(unavailable.filter(({ when }) => when === undefined).map(({ at }) => at));
    this.#values = new Map(
      unavailable.flatMap(({ at, when }) => (when === undefined ? [] : [[at, when] as const])),
    );
  }

  /** Why a key of the mapping at `at` that the schema does not have is refused; undefined: it is unknown. */
  refusedKey(at: string, key: string): string | undefined {
    const full = at === "" ? key : `${at}.${key}`;
    if (this.#keys.has(full)) return `"${key}" is not available in this version`;
    return this.misplaced.get(full);
  }

  /** True where the value at `at` belongs to the format but not to this version. */
  isUnavailable(at: string, value: WrittenValue): boolean {
    return this.#values.get(at)?.(value) ?? false;
  }
}
