import { setImmediate } from "node:timers/promises";
import type { Field } from "../../descriptors/model.js";
import { inLine } from "../../net/pace.js";
import type { Codec } from "../codec.js";
import type { FieldCodec } from "../codecs.js";
import { TranscodeError } from "../error.js";
import { isHttpBody, writeHttpBody } from "../http-body.js";
import { createObject, type JsonObject, type JsonValue } from "../json.js";
import { largeTextBytes, maxWorkUnits, type Work } from "../work.js";
import { BodyCopy } from "./body-copy.js";
import { bodyTree } from "./body-tree.js";
import { namesIn, pathText, setAt, valueAt } from "./field-tree.js";
import { fromText, QueryPlan, type QuerySpec } from "./query-plan.js";
import { sentPaths, updateMaskOf, writeUpdateMask } from "./update-mask.js";
import { Writer } from "./writer.js";

export interface RequestSpec extends QuerySpec {
  /** True fills `update_mask` from the body where the caller sent none (PATCH). */
  readonly fillUpdateMask: boolean;
  /** Most levels of nested JSON. */
  readonly depth: number;
}

export interface RequestBody {
  /** The Content-Type header; empty where there was none. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

/** Shared by all requests: each is encoded without an await between `reset` and `finish`. */
const writer = new Writer();

/** Turns path variables, query and body into the bytes of one request message. Built once a binding, immutable. */
export class RequestPlan {
  readonly #spec: RequestSpec;
  #codec: Codec | undefined;
  readonly #rawBody: boolean;
  /** Of the variables' fields, for errors. */
  readonly #variableNames: readonly string[];
  readonly #updateMask: Field | undefined;
  /** Planned at the first request, as most routes of a large API are never called; undefined where there can be none. */
  #bodyCopy: BodyCopy | "unplanned" | undefined;
  readonly #leafCodecs = new Map<Field, FieldCodec>();
  readonly #query: QueryPlan;

  constructor(spec: RequestSpec) {
    this.#spec = spec;
    const { body } = spec;
    this.#variableNames = spec.variables.map(pathText);
    this.#query = new QueryPlan(spec, (leaf, bound, other, name) =>
      this.#refuseDifference(leaf, bound, other, "the query", () => name),
    );
    this.#rawBody =
      body.kind === "all"
        ? isHttpBody(spec.input)
        : body.kind === "field" && !body.field.repeated && isHttpBody(body.field.message);
    this.#updateMask = spec.fillUpdateMask && body.kind === "field" ? updateMaskOf(spec.input) : undefined;
    const needsTree = body.kind === "none" || this.#rawBody || this.#updateMask !== undefined;
    this.#bodyCopy = needsTree ? undefined : "unplanned";
  }

  /** The specification that the plan was made from. */
  get spec(): RequestSpec {
    return this.#spec;
  }

  /** True where the body is taken unchanged, with any content type (`google.api.HttpBody`). */
  get takesRawBody(): boolean {
    return this.#rawBody;
  }

  /**
   * @param variables decoded path values, in the template's order
   * @param rawQuery the query without `?`, as it came
   * @throws TranscodeError naming the field or parameter
   */
  encode(variables: readonly string[], rawQuery: string, body: RequestBody): Uint8Array {
    const work = { units: maxWorkUnits };
    if (rawQuery === "" && body.bytes.length > 0 && this.#copy(variables, body.bytes, work)) {
      return writer.finish();
    }
    return this.#encodeTree(this.#tree(body.bytes, work), variables, rawQuery, body);
  }

  /**
   * The same; the body of a large request is read in slices, one after the other, so that no turn of the event loop takes
   * long.
   * @throws (or rejects with) TranscodeError as `encode` does
   */
  encodeInTurns(
    variables: readonly string[],
    rawQuery: string,
    body: RequestBody,
  ): Uint8Array | Promise<Uint8Array> {
    if (body.bytes.length <= largeTextBytes || this.#rawBody) return this.encode(variables, rawQuery, body);
    return this.#inSlices(variables, body.bytes, rawQuery === "", tree =>
      this.#encodeTree(tree, variables, rawQuery, body),
    );
  }

  /** One pass in slices where that may do, else a turn to read the tree and another one to encode it. */
  #inSlices(
    variables: readonly string[],
    bytes: Uint8Array,
    mayCopy: boolean,
    encodeTree: (tree: JsonObject) => Uint8Array,
  ): Promise<Uint8Array> {
    return inLine(async () => {
      const work = { units: maxWorkUnits };
      const copy = mayCopy ? this.#copyPlan() : undefined;
      if (copy !== undefined) {
        const own = new Writer(bytes.length);
        if (await copy.writeInSlices(bytes, variables, own, work)) return own.finish();
      }
      await setImmediate();
      const tree = this.#tree(bytes, work);
      await setImmediate();
      return encodeTree(tree);
    });
  }

  #encodeTree(
    tree: JsonObject,
    variables: readonly string[],
    rawQuery: string,
    body: RequestBody,
  ): Uint8Array {
    const sent = this.#updateMask === undefined ? undefined : sentPaths(this.#spec, tree);
    this.#setVariables(tree, variables);
    if (rawQuery !== "") this.#query.set(tree, rawQuery);

    this.#write(tree, body);
    if (
      this.#updateMask !== undefined &&
      sent !== undefined &&
      valueAt(tree, [this.#updateMask]) === undefined
    ) {
      writeUpdateMask(writer, this.#updateMask, sent);
    }
    return writer.finish();
  }

  /**
   * Turns a further element of a body into a message of a client stream. Path and query are in the first message; a
   * field that the path binds may be repeated, but not changed.
   * @throws TranscodeError naming the field
   */
  encodeNext(variables: readonly string[], body: RequestBody): Uint8Array {
    const work = { units: maxWorkUnits };
    if (variables.length === 0 && this.#copy(variables, body.bytes, work)) return writer.finish();
    return this.#encodeNextTree(this.#tree(body.bytes, work), variables, body);
  }

  /** `encodeNext` as `encodeInTurns`. @throws (or rejects with) TranscodeError */
  encodeNextInTurns(variables: readonly string[], body: RequestBody): Uint8Array | Promise<Uint8Array> {
    if (body.bytes.length <= largeTextBytes || this.#rawBody) return this.encodeNext(variables, body);
    return this.#inSlices(variables, body.bytes, variables.length === 0, tree =>
      this.#encodeNextTree(tree, variables, body),
    );
  }

  #encodeNextTree(tree: JsonObject, variables: readonly string[], body: RequestBody): Uint8Array {
    for (const [index, path] of this.#spec.variables.entries()) {
      const found = valueAt(tree, path);
      if (found === undefined || found === null) continue;
      const leaf = path[path.length - 1] as Field;
      const value = fromText(leaf, variables[index] as string, this.#variableNames[index] as string);
      this.#refuseDifference(leaf, value, found, "a later message", () => namesIn(tree, path));
    }
    this.#write(tree, body);
    return writer.finish();
  }

  #write(tree: JsonObject, body: RequestBody): void {
    writer.reset();
    // Compiled at the first request: most routes of a large API are never called.
    this.#codec ??= this.#spec.codecs.message(this.#spec.input);
    this.#codec.encode(tree, writer);
    if (!this.#rawBody) return;
    const { body: target } = this.#spec;
    const number = target.kind === "field" ? target.field.number : undefined;
    writeHttpBody(writer, number, body.contentType, body.bytes);
  }

  /** Writes the request in one pass over its body, where that can be. */
  #copy(variables: readonly string[], bytes: Uint8Array, work: Work): boolean {
    const copy = this.#copyPlan();
    if (copy === undefined) return false;
    writer.reset();
    return copy.write(bytes, variables, writer, work);
  }

  #copyPlan(): BodyCopy | undefined {
    if (this.#bodyCopy === "unplanned") {
      const { codecs, input, body, depth } = this.#spec;
      const field = body.kind === "field" ? body.field : undefined;
      this.#bodyCopy = BodyCopy.plan(codecs, input, field, this.#spec.variables, depth);
    }
    return this.#bodyCopy;
  }

  #tree(bytes: Uint8Array, work: Work): JsonObject {
    if (this.#rawBody || bytes.length === 0) return createObject();
    return bodyTree(this.#spec.body, bytes, this.#spec.depth, work);
  }

  #setVariables(tree: JsonObject, variables: readonly string[]): void {
    const paths = this.#spec.variables;
    for (let index = 0; index < paths.length; index += 1) {
      const path = paths[index] as readonly Field[];
      const leaf = path[path.length - 1] as Field;
      const value = fromText(leaf, variables[index] as string, this.#variableNames[index] as string);
      const found = valueAt(tree, path);
      if (found !== undefined && found !== null) {
        this.#refuseDifference(leaf, value, found, "the body", () => namesIn(tree, path));
      }
      setAt(tree, path, value);
    }
  }

  /**
   * A field bound by the path can never be changed by query or body (docs/reference/routes.md). The default
   * of a field without presence counts as not sent.
   * @param name the field as it was sent
   */
  #refuseDifference(leaf: Field, bound: JsonValue, other: JsonValue, from: string, name: () => string): void {
    let codec = this.#leafCodecs.get(leaf);
    if (codec === undefined) {
      codec = this.#spec.codecs.field(leaf);
      this.#leafCodecs.set(leaf, codec);
    }
    const one = new Writer();
    const two = new Writer();
    codec.encode(bound, one);
    codec.encode(other, two);
    if (two.length === 0 || Buffer.compare(one.finish(), two.finish()) === 0) return;
    const message = `the path binds this field and ${from} gives another value`;
    throw new TranscodeError("FIELD_COLLISION", name(), message);
  }
}
