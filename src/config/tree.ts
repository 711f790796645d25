import { isAlias, type Node } from "yaml";
import { type FilePosition, formatPath, type Path } from "./diagnostic.js";
import { locateIn, type Positions, type Source } from "./source.js";

/** The YAML of a configuration, put together from its files, that knows where each of its nodes came from. */
export class Tree implements Positions {
  /** Of nodes that do not belong to the first source. */
  readonly #owners = new WeakMap<object, Source>();
  readonly #sources: Source[] = [];
  /** By path: the name that a new one is near to. */
  readonly #near = new Map<string, string>();
  root: Node | undefined;

  get sources(): readonly Source[] {
    return this.#sources;
  }

  get files(): readonly string[] {
    return this.#sources.map(({ file }) => file);
  }

  add(source: Source): void {
    if (this.#sources.length > 0) for (const node of source.nodes) this.#owners.set(node, source);
    this.#sources.push(source);
  }

  /** Gives a new node the position of another. */
  own<T extends Node>(node: T, like: Source | Node): T {
    if ("diagnostics" in like) this.#owners.set(node, like);
    else {
      node.range = like.range ?? null;
      this.#owners.set(node, this.#ownerOf(like));
    }
    return node;
  }

  #ownerOf(node: unknown): Source {
    const owner = typeof node === "object" && node !== null ? this.#owners.get(node) : undefined;
    return owner ?? (this.#sources[0] as Source);
  }

  resolve(node: Node): Node | undefined {
    return isAlias(node) ? this.#ownerOf(node).resolve(node) : node;
  }

  positionOf(node: unknown): FilePosition {
    return this.#ownerOf(node).positionOf(node);
  }

  locate(path: Path): FilePosition {
    return locateIn(this, path);
  }

  /** Where relative paths in a node start from. */
  folderOf(node: unknown): string {
    return this.#ownerOf(node).folderOf();
  }

  /** Remembers the nearest name for one that was unknown on the command line. */
  suggest(path: Path, name: string | undefined): void {
    if (name !== undefined) this.#near.set(formatPath(path), name);
  }

  suggestionFor(path: Path): string | undefined {
    return this.#near.get(formatPath(path));
  }
}
