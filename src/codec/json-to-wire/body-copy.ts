import type { Field, MessageType } from "../../descriptors/model.js";
import { LENGTH, tagOf } from "../../wire/wire-type.js";
import type { Codecs, FieldCodec, TextCopy } from "../codecs.js";
import { TranscodeError } from "../error.js";
import type { Work } from "../work.js";
import { leafFromText } from "./text-value.js";
import type { Writer } from "./writer.js";

/** A path variable as it goes to the wire. */
interface Variable {
  /** Tags of the messages that hold the leaf, outermost first. */
  readonly tags: readonly number[];
  readonly leaf: Field;
  readonly codec: FieldCodec;
}

/**
 * Writes a request straight from the text of its body and its path variables, for the bindings where that gives the same
 * message as the tree would. The variables follow the body: on the wire, messages that come in pieces are merged, and of
 * two values of one field the last one counts.
 */
export class BodyCopy {
  readonly #copy: TextCopy;
  readonly #variables: readonly Variable[];
  readonly #depth: number;

  private constructor(copy: TextCopy, variables: readonly Variable[], depth: number) {
    this.#copy = copy;
    this.#variables = variables;
    this.#depth = depth;
  }

  /**
   * Undefined for bindings whose requests the tree has to assemble.
   * @param field the field that the body is; undefined where it is the whole message
   * @param paths field paths of the variables
   * @param depth most levels of nested JSON
   */
  static plan(
    codecs: Codecs,
    input: MessageType,
    field: Field | undefined,
    paths: readonly (readonly Field[])[],
    depth: number,
  ): BodyCopy | undefined {
    if (field !== undefined && hasRequired(input)) return undefined;
    if (!paths.every(path => path.every(isPlainStep))) return undefined;
    const copy =
      field === undefined
        ? codecs.textEncoderExcluding(input, paths)
        : codecs.fieldTextEncoderExcluding(field, paths);
    const variables = paths.map(path => {
      const leaf = path[path.length - 1]!;
      const tags = path.slice(0, -1).map(step => tagOf(step.number, LENGTH));
      return { tags, leaf, codec: codecs.field(leaf) };
    });
    return new BodyCopy(copy, variables, depth);
  }

  /**
   * @param variables decoded path values, in the order of the paths
   * @param work the work that is left
   * @returns false where the tree has to decide; the bytes written so far are then invalid
   */
  write(body: Uint8Array, variables: readonly string[], writer: Writer, work: Work): boolean {
    return this.#copy.write(body, writer, this.#depth, work) && this.#addVariables(variables, writer);
  }

  /** The same in slices, a turn of the event loop each. */
  async writeInSlices(
    body: Uint8Array,
    variables: readonly string[],
    writer: Writer,
    work: Work,
  ): Promise<boolean> {
    const copied = await this.#copy.writeInSlices(body, writer, this.#depth, work);
    return copied && this.#addVariables(variables, writer);
  }

  #addVariables(variables: readonly string[], writer: Writer): boolean {
    try {
      for (let index = 0; index < this.#variables.length; index++) {
        writeVariable(this.#variables[index]!, variables[index]!, writer);
      }
    } catch (error) {
      if (error instanceof TranscodeError) return false;
      throw error;
    }
    return true;
  }
}

function writeVariable({ tags, leaf, codec }: Variable, text: string, writer: Writer): void {
  const value = leafFromText(leaf, text);
  if (tags.length === 0) {
    codec.encode(value, writer);
    return;
  }
  const starts: number[] = [];
  for (const tag of tags) {
    writer.uint32(tag);
    starts.push(writer.begin());
  }
  codec.encode(value, writer);
  for (let index = starts.length - 1; index >= 0; index--) writer.end(starts[index]!);
}

/** A step of a path that can be written apart from its neighbours. */
function isPlainStep(field: Field, index: number, path: readonly Field[]): boolean {
  if (field.repeated || field.oneof !== undefined) return false;
  const isLeaf = index === path.length - 1;
  return isLeaf || (!field.delimited && field.message !== undefined && !hasRequired(field.message));
}

function hasRequired(type: MessageType): boolean {
  return type.fields.some(field => field.presence === "required" && !field.repeated);
}
